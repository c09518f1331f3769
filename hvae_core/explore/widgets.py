"""The parts of which the page is made: fields, pictures, and errors as messages."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from hvae_core.errors import HvaeError
from hvae_core.explore.uploads import own_file

#: least width of a column in pixels: on a telephone there is one, on a wide window up to three
WIDTH = 260


def shown(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with its errors as a message on the page, not as a traceback."""

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        try:
            return function(*args)
        except HvaeError as error:
            raise gr.Error(str(error), duration=15, print_exception=False) from error
        except Exception as error:
            logging.getLogger("hvae").exception("The page could not do what it was asked for.")
            raise gr.Error(
                f"This failed ({type(error).__name__}); the terminal says more.",
                duration=None,
                print_exception=False,
            ) from error

    return run


def on(
    event: Callable[..., Any], function: Callable[..., Any], inputs: list[Any], outputs: list[Any]
) -> None:
    """One call at a time: the models share memory and processor."""
    event(
        shown(function),
        inputs,
        outputs,
        concurrency_limit=1,
        concurrency_id="model",
        api_visibility="private",
    )


def temperature_field() -> gr.Slider:
    """The temperature of the priors."""
    return gr.Slider(
        0, 1.5, value=1.0, step=0.05, label="Temperature",
        info="Factor of the priors' standard deviations.",
    )  # fmt: skip


def seed_field() -> gr.Number:
    """The seed of the noise."""
    return gr.Number(0, label="Seed", precision=0, minimum=0)


def picture_field(label: str, scale: int | None = None) -> gr.Image:
    """A picture that the model made."""
    return gr.Image(label=label, format="png", interactive=False, buttons=["download"], scale=scale)


def upload_field(label: str) -> gr.Image:
    """An image of the visitor's; it arrives as the path of a file."""
    field = gr.Image(
        label=label, type="filepath", image_mode=None, format="png", height=220,
        sources=["upload", "clipboard"], elem_classes="upload",
    )  # fmt: skip
    # Decoding the file is ours, where a damaged one is an error with a sentence.
    field.preprocess = _uploaded_path
    return field


def _uploaded_path(payload: Any) -> str | None:
    if payload is None:
        return None
    folder = Path(gr.utils.get_upload_folder()).resolve()
    return str(shown(own_file)(payload.path, folder))


def whole(number: float | None) -> int:
    """What a number field holds; empty is 0."""
    return 0 if number is None else int(number)


def rgb(image: np.ndarray) -> np.ndarray:
    """As gradio takes it: a grey image without its channel."""
    return image[..., 0] if image.shape[-1] == 1 else image
