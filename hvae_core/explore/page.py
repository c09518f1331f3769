"""The page, in gradio."""

from __future__ import annotations

from typing import Any

import gradio as gr

from hvae_core.explore.models import Models, describe
from hvae_core.explore.tabs import (
    edit_tab,
    interpolate_tab,
    layer_choices,
    most_channels,
    reconstruct_tab,
    sample_tab,
)
from hvae_core.explore.widgets import WIDTH, on

#: visitors' requests that may wait at once
QUEUE = 64
#: fonts of the visitor's system: gradio's own would be fetched from elsewhere
FONT = ("system-ui", "sans-serif")
STYLE = {
    "theme": gr.themes.Base(font=FONT, font_mono=("ui-monospace", "monospace"), primary_hue="blue"),
    "css": ".gradio-container {max-width: 1100px !important; margin: auto !important} "
    "img {image-rendering: pixelated} "
    ".upload img {width: 100% !important; height: 100% !important; object-fit: contain}",
}


class Page(gr.Blocks):
    """Blocks that refuse what does not fit their fields without a traceback in the terminal."""

    async def preprocess_data(self, *args: Any, **kwargs: Any) -> Any:
        """What the fields make of a request.

        Raises:
            gr.Error: it is none that the page would send; shown there.
        """
        try:
            return await super().preprocess_data(*args, **kwargs)
        except gr.Error as error:
            error.print_exception = False
            raise
        except Exception as error:
            raise gr.Error(
                "This is nothing that the page asks for. Reload it.", print_exception=False
            ) from error


def build_page(models: Models) -> gr.Blocks:
    """The page, not yet served.

    Args:
        models: what it can show; the first one is chosen at the start.
    """
    first = models.load(models.names[0])
    with Page(analytics_enabled=False, title="hvae explore", delete_cache=(600, 3600)) as page:
        with gr.Row():
            with gr.Column(min_width=WIDTH):
                name = gr.Dropdown(models.names, value=models.names[0], label="Model")
            with gr.Column(min_width=WIDTH):
                about = gr.Markdown(describe(models.names[0], first))
        with gr.Tabs():
            with gr.Tab("Sample"):
                sample_tab(models, name, page)
            with gr.Tab("Reconstruct"):
                latents = reconstruct_tab(models, name, len(first.latent_shapes))
            with gr.Tab("Edit"):
                by_layer = edit_tab(models, name, first)
            with gr.Tab("Interpolate"):
                interpolate_tab(models, name)

        def choose(chosen: str) -> tuple[Any, ...]:
            model = models.load(chosen)
            layers = len(model.latent_shapes)
            return (
                describe(chosen, model),
                gr.Slider(maximum=layers, value=layers),
                gr.CheckboxGroup(layer_choices(model), value=list(range(layers))),
                gr.Slider(maximum=layers, value=1),
                gr.Slider(maximum=most_channels(model), value=1),
            )

        on(name.change, choose, [name], [about, latents, *by_layer])
    page.queue(max_size=QUEUE)
    return page
