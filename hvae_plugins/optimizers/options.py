"""The options of Keras's optimizers beyond those that ``train`` gives to all of them.

Names and defaults are those of Keras's constructors, written out here because reading a
configuration imports no Keras; a test holds them to the installed one.
"""

from __future__ import annotations

import re
from typing import Annotated

import pydantic
from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt

#: a decay of a running average
Decay = Annotated[float, Field(ge=0, lt=1)]


def _compiled(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(
            f"{pattern[:60]!r} is no regular expression ({error}); a character that stands for "
            "itself has a backslash before it"
        ) from None
    return pattern


#: a regular expression, as `re.search` takes it
Pattern = Annotated[str, AfterValidator(_compiled)]


class Options(pydantic.BaseModel):
    """Options of an optimizer: unknown ones are refused. Many have none beside ``train``'s."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class AdamOptions(Options):
    """Of adam and adamw."""

    amsgrad: bool = Field(False, description="divide by the largest second moment so far")


class SGDOptions(Options):
    """Of sgd."""

    nesterov: bool = Field(False, description="Nesterov's momentum")


class RMSpropOptions(Options):
    """Of rmsprop."""

    rho: Decay = Field(0.9, description="decay of the squared gradient's average")
    momentum: Decay = Field(0.0, description="momentum of the step; 0 is none")
    centered: bool = Field(False, description="divide by the variance, not the second moment")


class AdafactorOptions(Options):
    """Of adafactor. Keras's ``relative_step`` is left out: it changes nothing there."""

    beta_2_decay: float = Field(
        -0.8, lt=0, description="power of the update's number by which the second moment forgets"
    )
    epsilon_1: PositiveFloat = Field(1e-30, description="added to the squared gradient")
    epsilon_2: PositiveFloat = Field(1e-3, description="least root mean square of a weight")
    clip_threshold: PositiveFloat = Field(
        1.0, description="a step's root mean square is at most this"
    )


class AdagradOptions(Options):
    """Of adagrad."""

    initial_accumulator_value: NonNegativeFloat = Field(
        0.1, description="what the sum of squared gradients starts from"
    )


class AdadeltaOptions(Options):
    """Of adadelta."""

    rho: Decay = Field(0.95, description="decay of the averages")


class FtrlOptions(Options):
    """Of ftrl."""

    learning_rate_power: float = Field(-0.5, le=0, description="0 is a constant learning rate")
    initial_accumulator_value: NonNegativeFloat = Field(
        0.1, description="what the sum of squared gradients starts from"
    )
    l1_regularization_strength: NonNegativeFloat = Field(0.0, description="L1 penalty")
    l2_regularization_strength: NonNegativeFloat = Field(0.0, description="L2 penalty")
    l2_shrinkage_regularization_strength: NonNegativeFloat = Field(
        0.0, description="L2 penalty of the gradient's magnitude"
    )
    beta: NonNegativeFloat = Field(0.0, description="McMahan et al.'s beta")


class MuonOptions(Options):
    """Of muon."""

    exclude_layers: tuple[Pattern, ...] = Field(
        ("encoder/stem/", "readout/out/"),
        description="regular expressions of the weights' names that Adam updates",
    )
    muon_a: float = Field(3.4445, description="of the Newton-Schulz polynomial, as muon_b, muon_c")
    muon_b: float = Field(-4.7750, description="see muon_a")
    muon_c: float = Field(2.0315, description="see muon_a")
    adam_lr_ratio: PositiveFloat = Field(
        1.0, description="Adam's learning rate as a multiple of the matrices'"
    )
    momentum: Decay = Field(0.95, description="of the matrices' gradients")
    ns_steps: PositiveInt = Field(5, description="Newton-Schulz iterations")
    nesterov: bool = Field(True, description="Nesterov's momentum")
    rms_rate: PositiveFloat | None = Field(
        0.2,
        description="steps have this root mean square, near Adam's, so that its learning rate and "
        "weight decay fit; null: a step's singular values are near 1",
    )
