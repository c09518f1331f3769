"""A local page on which a model is tried out: ``hvae explore``.

`actions` is what the page can do, as functions of a model; `uploads` and `models` are what goes in;
`page` is the layout, and the only part that needs gradio.
"""
