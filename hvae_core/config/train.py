"""How a model is trained, as typed options (names and defaults: ``docs/options.md``)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

import pydantic
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from pydantic_core import PydanticCustomError

from hvae_core.config.component import Optimizer, Schedule, Tracker
from hvae_core.config.per_scale import PerScale
from hvae_core.config.section import Section
from hvae_core.errors import ConfigError, did_you_mean
from hvae_core.interfaces import OptimizerSettings, ScheduleSettings

Precision = Literal["float32", "mixed_bfloat16"]
#: a length in epochs, which becomes one in updates
Epochs = Annotated[float, Field(ge=0, le=1_000_000)]


def check_precision(value: Any) -> Precision:
    """The precision that was asked for.

    Raises:
        ConfigError: there is none of this name.
    """
    known = get_args(Precision)
    if value in known:
        return value
    hint = did_you_mean(str(value), known)
    if value in ("float16", "mixed_float16"):
        hint = "float16 needs a scaled loss, which hvae has not; take mixed_bfloat16."
    raise ConfigError(f"precision is {value!r}; expected {' or '.join(known)}.", hint)


class ParameterGroup(Section):
    """Weights that are trained with a learning rate and a weight decay of their own."""

    weights: list[str] = Field(
        min_length=1, description="names of weights or modules, with * for any part of a name"
    )
    learning_rate_factor: PositiveFloat = Field(
        1.0, description="their learning rate is the run's times this"
    )
    weight_decay: NonNegativeFloat | None = Field(
        None, description="in place of train.weight_decay"
    )

    @pydantic.field_validator("weights", mode="before")
    @classmethod
    def _one_pattern(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value


class TrainConfig(Section):
    """The training options. Norms and losses are in nats per dimension."""

    seed: NonNegativeInt = Field(0, description="of weights, noise, order and augmentation")
    batch_size: PositiveInt = Field(32, description="images for each update")
    accumulate: PositiveInt = Field(1, description="micro-batches a batch is divided into")
    epochs: PositiveInt | None = Field(None, description="passes over the training images")
    steps: PositiveInt | None = Field(None, description="updates; give this or epochs")
    minutes: PositiveFloat | None = Field(
        None, description="or the time to train for, which the schedules then follow"
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="part of the training split held out for validation"
    )
    validation_images: PositiveInt | None = Field(
        None, description="evaluate on at most this many of them after an epoch"
    )
    patience: PositiveInt | None = Field(
        None, description="stop after so many epochs without a better validation ELBO"
    )

    optimizer: Optimizer = Field("adamax", description="update rule")  # type: ignore[assignment]
    beta_1: float = Field(0.9, ge=0, lt=1, description="decay of the first moment, or momentum")
    beta_2: float = Field(0.999, ge=0, lt=1, description="decay of the second moment")
    epsilon: PositiveFloat = Field(
        1e-8, description="added to the denominator of an adaptive optimizer's step"
    )
    learning_rate: PositiveFloat = Field(1e-3, description="after the warm-up")
    final_learning_rate: NonNegativeFloat = Field(1e-6, description="absolute, at the end")
    schedule: Schedule = Field(  # type: ignore[assignment]
        "cosine", description="of the learning rate after the warm-up"
    )
    restarts: PositiveInt = Field(4, description="periods of cosine-restarts")
    warmup_steps: NonNegativeInt | None = Field(None, description="linear warm-up, in updates")
    warmup_epochs: Epochs | None = Field(
        None, description="linear warm-up, in epochs (1 where neither is given)"
    )
    weight_decay: NonNegativeFloat = Field(
        1e-4, description="decoupled; biases, norms and gates are excluded"
    )
    decay_all_weights: bool = Field(
        False, description="weight decay excludes nothing, as in the original VDVAE"
    )
    ema_decay: float = Field(0.9999, ge=0, lt=1, description="of the averaged weights; 0 is off")
    ema_warmup: bool = Field(
        True,
        description="the decay of update n is (1 + n) / (10 + n) at most, so that a short run's "
        "average does not hold on to the initial weights",
    )
    freeze: list[str] = Field(
        default=[],
        description="weights that are not trained: names of weights or modules, with * for any "
        "part of a name, such as encoder or decoder.*.prior",
    )
    parameter_groups: list[ParameterGroup] = Field(
        default=[],
        description="weights with a learning rate and a weight decay of their own; the first group "
        "that names a weight has it",
    )
    clip_norm: PositiveFloat | None = Field(None, description="gradients are scaled to this norm")
    skip_norm: NonNegativeFloat = Field(
        300.0, description="updates with a gradient norm of this or more are skipped; 0 is off"
    )
    skip_start_step: NonNegativeInt | None = Field(
        None, description="first update that may be skipped"
    )
    skip_start_epoch: Epochs | None = Field(
        None, description="the same after so many epochs (2 where neither is given)"
    )
    max_skipped_steps: PositiveInt = Field(
        500, description="training stops after so many skipped updates in a row"
    )
    max_nonfinite_steps: PositiveInt = Field(
        100, description="training stops after so many non-finite updates in a row"
    )

    objective: Literal["evidence", "partial-posterior"] = Field(
        "evidence",
        description="evidence: the bound on log p(x); partial-posterior: with the trained model "
        "fixed, a second encoder of measurements comes to cover its posteriors of the images",
    )
    beta: NonNegativeFloat = Field(1.0, description="weight of the KL in the loss")
    beta_warmup: NonNegativeInt | None = Field(
        None, description="linear ramp of beta, in updates (0 where neither is given)"
    )
    beta_warmup_epochs: Epochs | None = Field(None, description="linear ramp of beta, in epochs")
    beta_warmup_start: NonNegativeInt = Field(
        0, description="update that the ramp starts at, with beta at its minimum before"
    )
    beta_minimum: NonNegativeFloat = Field(
        0.0, le=1, description="least part of beta during the ramp"
    )
    beta_cycles: NonNegativeInt = Field(
        0,
        description="cycles of half ramp, half hold in place of the ramp, each as long as the "
        "warm-up",
    )
    beta_cycles_share_warmup: bool = Field(
        False, description="the cycles divide one warm-up among them"
    )
    kl_balancing_steps: NonNegativeInt = Field(
        0, description="Efficient-VDVAE's balancing of the layers' KL for so many updates"
    )
    kl_balancing_scaled: bool = Field(
        True, description="it goes by the KL of one element of a latent, not of the whole latent"
    )
    free_bits: NonNegativeFloat = Field(
        0.0,
        description="nats of KL, as a mean over a micro-batch, that each latent layer holds at no "
        "cost, so that layers which would hold nothing come into use; updates that are balanced "
        "have none",
    )

    precision: Precision = Field(
        "float32",
        description="of the network in training; densities are float32 always, and so is a model "
        "that is loaded to be used",
    )
    remat: PerScale[bool] = Field(
        False, description="recompute blocks in the backward pass, for less memory"
    )
    compile: bool | Literal["inductor"] = Field(
        True,
        description="compile the training step; PyTorch replays its operations, recorded after "
        "some updates, and compiles them with inductor, which needs a C++ compiler and minutes",
    )
    devices: list[NonNegativeInt] | None = Field(
        None, description="indices of the devices; unset: all on JAX, the first elsewhere"
    )

    log_steps: PositiveInt = Field(50, description="a line in metrics.jsonl every so many updates")
    checkpoint_steps: PositiveInt = Field(1000, description="a checkpoint every so many updates")
    checkpoint_minutes: PositiveFloat = Field(
        15.0, description="and at least every so many minutes"
    )
    keep_checkpoints: PositiveInt = Field(3, description="newest checkpoints kept, beside the best")
    evaluate_epochs: PositiveInt = Field(1, description="validate every so many epochs")
    sample_epochs: NonNegativeInt = Field(1, description="sample grid every so many epochs; 0 off")
    tensorboard: bool = Field(
        True, description="the tracker tensorboard, where its package is installed"
    )
    trackers: list[Tracker] = Field(
        default=[], description="where the figures go beside metrics.jsonl; must be installed"
    )
    report: bool = Field(True, description="write report.html at the end, see hvae report")

    @pydantic.field_validator("compile", mode="wrap")
    @classmethod
    def _how(cls, value: Any, validate: Any) -> Any:
        try:
            return validate(value)
        except pydantic.ValidationError:
            raise PydanticCustomError(
                "compile", "Input should be true, false or 'inductor'"
            ) from None

    @pydantic.field_validator("freeze", mode="before")
    @classmethod
    def _one_pattern(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @property
    def optimizer_settings(self) -> OptimizerSettings:
        """What every optimizer is told."""
        return OptimizerSettings(
            learning_rate=self.learning_rate,
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
            weight_decay=self.weight_decay,
        )

    @property
    def schedule_settings(self) -> ScheduleSettings:
        """What every schedule is told."""
        return ScheduleSettings(
            learning_rate=self.learning_rate,
            final_learning_rate=self.final_learning_rate,
            restarts=self.restarts,
        )

    @pydantic.model_validator(mode="after")
    def _check(self) -> TrainConfig:
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"train.accumulate is {self.accumulate}, which does not divide "
                f"train.batch_size ({self.batch_size})"
            )
        lengths = [
            f"train.{name}" for name in ("epochs", "steps", "minutes") if getattr(self, name)
        ]
        if len(lengths) > 1:
            both, others = ("both", "one") if len(lengths) == 2 else ("all", "two")
            raise ValueError(
                f"{' and '.join(lengths)} are {both} given; set {others} of them to null"
            )
        if self.warmup_steps is not None and self.warmup_epochs is not None:
            raise ValueError(
                "train.warmup_steps and train.warmup_epochs are both given; set one of them to null"
            )
        if self.skip_start_step is not None and self.skip_start_epoch is not None:
            raise ValueError(
                "train.skip_start_step and train.skip_start_epoch are both given; set one of them "
                "to null"
            )
        if self.beta_warmup is not None and self.beta_warmup_epochs is not None:
            raise ValueError(
                "train.beta_warmup and train.beta_warmup_epochs are both given; set one of them to "
                "null"
            )
        if self.final_learning_rate > self.learning_rate:
            raise ValueError(
                f"train.final_learning_rate ({self.final_learning_rate}) is above "
                f"train.learning_rate ({self.learning_rate})"
            )
        if self.beta_cycles and not (self.beta_warmup or self.beta_warmup_epochs):
            raise ValueError(
                "train.beta_cycles needs train.beta_warmup or train.beta_warmup_epochs, the length "
                "of a cycle"
            )
        names = [tracker.name for tracker in self.trackers]
        if len(set(names)) < len(names):
            raise ValueError(f"train.trackers names one twice: {', '.join(names)}")
        return self
