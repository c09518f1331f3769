"""A model in a line, and in a notebook's cell."""

from __future__ import annotations

import html
import math
from itertools import groupby

import keras

from hvae_core.interfaces import Shape3
from hvae_core.model.network import HierarchicalNetwork


def facts(model: HierarchicalNetwork, preset: str | None = None) -> dict[str, str]:
    """What there is to say of a model, by what it is.

    Args:
        model: the model.
        preset: what it was loaded from.
    """
    total = model.count_params()
    frozen = sum(math.prod(v.shape) for v in model.weights if not v.trainable)
    scales = ", ".join(
        f"{len(list(layers))} of {_shape(shape)}" for shape, layers in groupby(model.latent_shapes)
    )
    return {
        **({"preset": preset} if preset else {}),
        "images": _shape(model.image_shape),
        "latent layers": f"{len(model.latent_shapes)} ({scales})",
        "parameters": f"{total:,}" + (f" ({frozen:,} frozen)" if frozen else ""),
        "precision": f"{model.precision}, on {keras.config.backend()}",
    }


def in_a_line(model: HierarchicalNetwork, preset: str | None = None) -> str:
    """The facts as ``repr`` gives them."""
    told = "; ".join(f"{name}: {fact}" for name, fact in facts(model, preset).items())
    return f"<{type(model).__name__} {told}>"


def as_html(model: HierarchicalNetwork, preset: str | None = None) -> str:
    """The facts as a small table."""
    rows = "".join(
        f"<tr><th style='text-align:left'>{name}</th>"
        f"<td style='text-align:left'>{html.escape(fact)}</td></tr>"
        for name, fact in facts(model, preset).items()
    )
    return f"<table><caption>{type(model).__name__}</caption>{rows}</table>"


def _shape(shape: Shape3) -> str:
    return " x ".join(map(str, shape))
