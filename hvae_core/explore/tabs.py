"""The page's four tabs. Whatever is computed is in `hvae_core.explore.actions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gradio as gr
import numpy as np
import pandas as pd

from hvae_core.explore import actions
from hvae_core.explore.models import Models
from hvae_core.explore.uploads import read_upload
from hvae_core.explore.widgets import (
    WIDTH,
    on,
    picture_field,
    rgb,
    seed_field,
    temperature_field,
    upload_field,
    whole,
)
from hvae_core.images.grids import as_pictures
from hvae_core.images.user_images import FittedImage, as_trained_on, padding_of

if TYPE_CHECKING:
    from hvae_core.vae import HierarchicalVAE

COLOURS = {"the image": "#2563eb", "the prior": "#c7cdd6"}


def sample_tab(models: Models, name: gr.Dropdown, page: gr.Blocks) -> None:
    """Draw images from the prior: at once, with another model, and on demand."""
    with gr.Row():
        with gr.Column(scale=1, min_width=WIDTH):
            count = gr.Slider(1, actions.MAX_SAMPLES, value=16, step=1, label="Images")
            temperature = temperature_field()
            seed = seed_field()
            button = gr.Button("Sample", variant="primary")
        picture = picture_field("Samples", scale=2)

    def sample(name: str, count: float, temperature: float, seed: float) -> np.ndarray:
        model = models.load(name)
        drawn = actions.sample(model, int(count), temperature, whole(seed))
        return rgb(actions.grid(drawn, values=model.image_values))

    for event in (page.load, name.change, button.click):
        on(event, sample, [name, count, temperature, seed], [picture])


def reconstruct_tab(models: Models, name: gr.Dropdown, layers: int) -> gr.Slider:
    """Draw an uploaded image again; gives the slider of the latents kept."""
    with gr.Row():
        with gr.Column(scale=1, min_width=WIDTH):
            upload = upload_field("Image")
            draw = gr.Button("Let the model draw one", size="sm")
            latents = gr.Slider(
                0, layers, value=layers, step=1, label="Latents kept",
                info="So many leading layers come from the image, the rest from the prior.",
            )  # fmt: skip
            temperature = temperature_field()
            seed = seed_field()
            button = gr.Button("Reconstruct", variant="primary")
        with gr.Column(scale=2):
            with gr.Row():
                seen = picture_field("What the model sees")
                drawn = picture_field("Reconstruction")
            note = gr.Markdown()
            plot = gr.BarPlot(
                x="layer", y="nats", color="from", color_map=COLOURS, height=260,
                x_title="latent layer, coarsest first", y_title="KL (nats)",
                tooltip=["layer", "scale", "nats"], show_label=False, buttons=[],
            )  # fmt: skip

    def reconstruct(
        name: str, path: str | None, latents: float, temperature: float, seed: float
    ) -> tuple[np.ndarray, np.ndarray, str, Any]:
        model = models.load(name)
        fitted = _uploaded(model, path, "an image", seed)
        done = actions.reconstruct(model, fitted.pixels, int(latents), temperature, whole(seed))
        rows = actions.kl_table(model, done.kl, int(latents))
        text = (
            f"{fitted.note} KL {done.kl.sum():.1f} nats; the image costs "
            f"{done.cost:.3f} {done.unit}."
        )
        return (
            rgb(actions.enlarged(done.seen, values=model.image_values)),
            rgb(actions.enlarged(done.drawn, values=model.image_values)),
            text.strip(),
            gr.BarPlot(pd.DataFrame(rows), sort=[row["layer"] for row in rows]),
        )

    on(draw.click, drawer(models), [name, seed], [upload])
    on(
        button.click,
        reconstruct,
        [name, upload, latents, temperature, seed],
        [seen, drawn, note, plot],
    )
    return latents


def layer_choices(model: HierarchicalVAE) -> list[tuple[str, int]]:
    """The model's latent layers as they are offered: a label, and a number from 0 on."""
    return [
        (f"{place + 1} ({height}x{width})", place)
        for place, (height, width, _) in enumerate(model.latent_shapes)
    ]


def most_channels(model: HierarchicalVAE) -> int:
    """Channels of the widest latent layer."""
    return max(channels for _, _, channels in model.latent_shapes)


def edit_tab(
    models: Models, name: gr.Dropdown, first: HierarchicalVAE
) -> tuple[gr.CheckboxGroup, gr.Slider, gr.Slider]:
    """Decode chosen layers of an image; gives what depends on the model's layers and channels."""
    layers = len(first.latent_shapes)
    with gr.Row():
        with gr.Column(min_width=WIDTH):
            upload = upload_field("Image")
            draw = gr.Button("Let the model draw one", size="sm")
            other = upload_field("Another image, if you like")
            draw_other = gr.Button("Let the model draw one", size="sm")
        with gr.Column(min_width=WIDTH):
            kept = gr.CheckboxGroup(
                layer_choices(first), value=list(range(layers)), label="Layers of the image",
                info="Coarsest first. The rest come from the other image, or else the prior.",
            )  # fmt: skip
            layer = gr.Slider(1, layers, value=1, step=1, label="Layer to move")
            channel = gr.Slider(1, most_channels(first), value=1, step=1, label="Channel of it")
            shift = gr.Slider(
                -4, 4, value=0, step=0.25, label="Move",
                info="In the prior's standard deviations, at every place.",
            )  # fmt: skip
        with gr.Column(min_width=WIDTH):
            temperature = temperature_field()
            seed = seed_field()
            button = gr.Button("Decode", variant="primary")
            picture = picture_field("Decoded")

    def decode(
        name: str, path: str | None, kept: list[int], other: str | None, layer: float,
        channel: float, shift: float, temperature: float, seed: float,
    ) -> np.ndarray:  # fmt: skip
        model = models.load(name)
        image = _uploaded(model, path, "an image", seed).pixels
        second = None if other is None else _uploaded(model, other, "another image", seed).pixels
        move = (int(layer) - 1, int(channel) - 1, float(shift)) if shift else None
        drawn = actions.edit(model, image, kept, second, move, temperature, whole(seed))
        return rgb(actions.enlarged(drawn, values=model.image_values))

    on(draw.click, drawer(models), [name, seed], [upload])
    on(draw_other.click, drawer(models, 1), [name, seed], [other])
    fields = [name, upload, kept, other, layer, channel, shift, temperature, seed]
    on(button.click, decode, fields, [picture])
    return kept, layer, channel


def interpolate_tab(models: Models, name: gr.Dropdown) -> None:
    """Walk from one uploaded image to another."""
    with gr.Row():
        with gr.Column(min_width=200):
            first = upload_field("First image")
            draw_first = gr.Button("Let the model draw one", size="sm")
        with gr.Column(min_width=200):
            second = upload_field("Second image")
            draw_second = gr.Button("Let the model draw one", size="sm")
        with gr.Column(min_width=200):
            steps = gr.Slider(2, actions.MAX_STEPS, value=8, step=1, label="Images on the way")
            seed = seed_field()
            button = gr.Button("Interpolate", variant="primary")
    picture = picture_field("From the first to the second")
    note = gr.Markdown()

    def interpolate(
        name: str, first: str | None, second: str | None, steps: float, seed: float
    ) -> tuple[np.ndarray, str]:
        model = models.load(name)
        ends = [
            _uploaded(model, path, which, seed)
            for path, which in ((first, "the first image"), (second, "the second image"))
        ]
        images = actions.interpolate(model, ends[0].pixels, ends[1].pixels, int(steps), whole(seed))
        notes = [
            f"{which}: {end.note}"
            for which, end in zip(("First", "Second"), ends, strict=True)
            if end.note
        ]
        picture = actions.grid(images, len(images), 1080, model.image_values)
        return rgb(picture), " ".join(notes)

    on(draw_first.click, drawer(models), [name, seed], [first])
    on(draw_second.click, drawer(models, 1), [name, seed], [second])
    on(button.click, interpolate, [name, first, second, steps, seed], [picture, note])


def _uploaded(
    model: HierarchicalVAE, path: str | None, which: str, seed: float | None
) -> FittedImage:
    padding = padding_of(model.config)
    fitted = read_upload(path, model.image_shape, which, model.image_values, padding)
    return as_trained_on(fitted, model.config, whole(seed))


def drawer(models: Models, index: int = 0) -> Callable[[str, float], np.ndarray]:
    """An image of the model's own, where the visitor has none."""

    def draw(name: str, seed: float) -> np.ndarray:
        model = models.load(name)
        drawn = actions.sample(model, index + 1, 1.0, whole(seed))
        return rgb(as_pictures(drawn, model.image_values)[index])

    return draw
