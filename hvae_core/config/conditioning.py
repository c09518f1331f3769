"""A model's condition in its configuration: what its values are, and how it enters."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hvae_core.config.component import Component
from hvae_core.config.section import Section
from hvae_core.interfaces import ConditionValues


class ConditioningConfig(Section):
    """How the embedding of `model.condition` enters the hierarchy."""

    prior: bool = Field(
        True,
        description="true: p(z | c), the condition enters the priors and the stream too; false: "
        "an unconditional p(z), for a readout from the latents",
    )
    entry: Literal["add", "film"] = Field(
        "add", description="add: a projection is added; film: it scales as well"
    )


def values_of(condition: Component | None) -> ConditionValues | None:
    """What a condition's values are; None without one.

    Raises:
        ValueError: its plugin does not say.
    """
    if condition is None:
        return None
    describe = condition.spec.condition_values
    if describe is None:
        raise ValueError(
            f"the condition {condition.name!r} does not say what its values are; its spec needs "
            "condition_values"
        )
    values: ConditionValues = describe(condition.options)
    return values


def check_conditioning(
    condition: Component | None, conditioning: ConditioningConfig, readout: str
) -> None:
    """Refuse a way for the condition to enter that the rest of the model does not allow.

    Raises:
        ValueError: names the options.
    """
    values = values_of(condition)
    if values is None or conditioning.prior:
        return
    if readout != "latents":
        raise ValueError(
            "model.conditioning.prior is false, which needs model.readout.kind: latents: the "
            "prior reads the stream that the image would be read from"
        )
    if values.has_null:
        raise ValueError(
            "model.condition.dropout is for guidance of the priors, but model.conditioning.prior "
            "is false; set one of them back"
        )
