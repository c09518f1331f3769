"""A local page on which a model is tried out: ``hvae explore``.

`actions` is what the page can do, as functions of a model; `uploads` and `models` are what goes in;
`page`, `tabs` and `widgets` are the layout, which needs gradio; `server` serves it, and `gate`
decides what is answered.
"""
