"""The name of each weight of a model: its path in the module tree."""

from __future__ import annotations

from typing import Any

from hvae_core.errors import WeightsError


def weight_names(model: Any) -> dict[str, Any]:
    """The model's weights by name, in the model's order.

    A name is the Keras variable's path without the model's own name, with dots:
    ``hvae/decoder/blocks-3/prior/kernel`` is ``decoder.blocks.3.prior.kernel``. Seed generators and
    metrics are left out.

    Args:
        model: a built `keras.Model` or layer.

    Returns:
        Names to `keras.Variable`.

    Raises:
        WeightsError: the model has no weights yet, or two weights have one name.
    """
    named: dict[str, Any] = {}
    for variable in model.weights:
        first, _, rest = variable.path.partition("/")
        path = rest if rest and first == model.name else variable.path
        # Torch forbids a dot in a name, so numbered layers are called "blocks-3".
        name = path.replace("/", ".").replace("-", ".")
        if name in named:
            raise WeightsError(
                f"Two weights of the model {model.name!r} are both named {name!r}.",
                "Give each of its layers an explicit name= that no sibling has.",
            )
        named[name] = variable
    if not named:
        raise WeightsError(
            f"The model {model.name!r} has no weights yet.", "Build it before saving or loading."
        )
    return named
