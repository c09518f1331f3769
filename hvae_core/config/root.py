"""The whole configuration: model, likelihood, regularizer, data and training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import pydantic
from pydantic import Field

from hvae_core.config.component import (
    Component,
    Dataset,
    Likelihood,
    Measurement,
    Regularizer,
)
from hvae_core.config.model import ModelConfig
from hvae_core.config.older_formats import FORMAT, upgraded
from hvae_core.config.per_scale import expand
from hvae_core.config.section import Section
from hvae_core.config.sizes import check_size
from hvae_core.config.stages import StageConfig
from hvae_core.config.top_prior import check_combinations
from hvae_core.config.train import TrainConfig
from hvae_core.errors import HvaeError
from hvae_core.interfaces import UINT8, ImageValues
from hvae_core.interfaces import Likelihood as BuiltLikelihood
from hvae_core.interfaces import Measurement as BuiltMeasurement
from hvae_core.plugins import manager
from hvae_core.plugins.manager import REGISTERED
from hvae_core.plugins.version_1 import build_likelihood, given_values, known_dtypes


class Config(Section):
    """What a YAML file, a preset or a run folder's ``config.yaml`` says."""

    format: Literal[3] = Field(
        FORMAT, description="version of this file's format; files of formats 1 and 2 keep theirs"
    )
    summary: str = Field("", description="one line on what this is")
    model: ModelConfig = Field(default_factory=ModelConfig, description="the architecture")
    likelihood: Likelihood = Field("logistic-mixture", description="p(x | z)")  # type: ignore[assignment]
    regularizer: Regularizer = Field(None, description="a further term of the loss")
    data: Dataset = Field(
        "digits",
        description="the images; its key `condition` names what of them a conditional model is "
        "given, a column or a list of columns; if unset, label",
    )  # type: ignore[assignment]
    measurement: Measurement = Field(
        None, description="what of an image the encoder sees; the likelihood scores the image"
    )
    train: TrainConfig = Field(default_factory=TrainConfig, description="how to train")

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `Config` reads back to an equal configuration."""
        return self.model_dump(mode="json", exclude_none=False)

    @property
    def image_values(self) -> ImageValues:
        """What the numbers of the images are, as the data set declares them."""
        return given_values(self.data.spec, self.data.options)

    def build_likelihood(self) -> BuiltLikelihood:
        """The likelihood of the model's images."""
        chosen, shape = self.likelihood, self.model.image_shape
        return build_likelihood(chosen.spec, chosen.options, shape, self.image_values)

    def build_measurement(self) -> BuiltMeasurement | None:
        """What the encoder sees of an image, or None where it sees the whole.

        Raises:
            ConfigError: images of the model's shape cannot be measured so.
        """
        if self.measurement is None:
            return None
        built: BuiltMeasurement = self.measurement.build(self.model.image_shape, self.image_values)
        return built

    def components(self) -> list[Component]:
        """The components that it names: the model's and the data set, then those of training."""
        model, train = self.model, self.train
        of_model = (model.block, model.flow, model.attention, model.condition, model.prior)
        chosen = (*of_model, self.likelihood, self.regularizer, self.measurement)
        of_training = (train.optimizer, train.schedule, *train.trackers)
        return [c for c in (*chosen, self.data, *of_training) if c is not None]

    def foreign_plugins(self) -> dict[str, str]:
        """The components of other packages than hvae: ``kind.name`` and "distribution version"."""
        entries = [manager().find(c.kind, c.name) for c in self.components()]
        return {
            entry.full_name: f"{entry.distribution} {entry.version}"
            for entry in entries
            if entry.distribution not in ("hvae", REGISTERED)
        }

    @pydantic.model_validator(mode="before")
    @classmethod
    def _upgrade(cls, values: Any) -> Any:
        return upgraded(values) if isinstance(values, Mapping) else values

    @pydantic.model_validator(mode="after")
    def _check(self) -> Config:
        check_size(self.model)
        expand(self.train.remat, len(self.model.stages), "train.remat")
        self._check_values()
        if self.data.condition is not None and self.model.condition is None:
            raise ValueError(
                "data.condition is given, but model.condition is none; set it, such as to "
                "{name: label, classes: 10}, or leave data.condition out"
            )
        model = self.model
        condition = model.condition if model.conditioning.prior else None
        check_combinations(model.prior, condition, self.measurement, self.regularizer)
        self._check_measurement()
        if self.regularizer is None:
            return self
        name, supports = self.regularizer.name, self.regularizer.spec.supports
        if self.model.flow is None or not supports or "flow" in supports:
            return self
        if "invertible-flow" not in supports:
            raise ValueError(
                f"regularizer {name!r} does not support model.flow; set one of them to none"
            )
        if any(map(_lacks_inverse, self.model.stages)):
            raise ValueError(
                f"regularizer {name!r} needs the inverse of model.flow with its gradient, which "
                f"{self.model.flow.name!r} does not have with these options; choose another flow, "
                "or give it no context channels"
            )
        return self

    def _check_measurement(self) -> None:
        """Refuse a measurement that the images cannot have, and an objective without one."""
        channels, seen = self.model.image_channels, self.model.input_channels
        if self.measurement is not None:
            try:
                self.build_measurement()
            except HvaeError as error:
                raise ValueError(str(error)) from error
            if seen not in (None, channels, channels + 1):
                raise ValueError(
                    f"model.input_channels is {seen}; with a measurement it must be {channels}, or "
                    f"{channels + 1} for the mask"
                )
        if self.train.objective == "evidence":
            return
        if self.model.prior is not None:
            raise ValueError(
                "train.objective is partial-posterior, whose second encoder does not reach the "
                "variables of model.prior; set model.prior to none, or the objective to evidence"
            )
        if self.measurement is None:
            raise ValueError(
                "train.objective is partial-posterior, but measurement is none; set it, such as "
                "to columns:0.25"
            )
        if self.regularizer is not None:
            raise ValueError(
                "train.objective is partial-posterior, which has no regularizer; set regularizer "
                "to none"
            )
        for stage in self.model.stages:
            if stage.flow is None or not stage.decoder_blocks:
                continue
            declared = stage.flow.spec.inverse_gradient
            if declared is None or not declared(stage.flow.options):
                raise ValueError(
                    "train.objective is partial-posterior, which needs the inverse of model.flow "
                    f"with its gradient; {stage.flow.name!r} does not have it with these options: "
                    "choose another flow, or the objective evidence"
                )

    def _check_values(self) -> None:
        """Refuse a likelihood or a regularizer that does not know the data set's images."""
        values = self.image_values
        for chosen in (self.likelihood, self.regularizer):
            known = known_dtypes(chosen.spec) if chosen is not None else ()
            if chosen is not None and values.dtype not in known:
                raise ValueError(
                    f"{chosen.kind} {chosen.name!r} works on images of {' and '.join(known)}, but "
                    f"the data set {self.data.name!r} gives {values}; choose another "
                    f"{chosen.kind}, or other data.values"
                )
        if values != UINT8 and self.model.input_levels is not None:
            raise ValueError(
                f"model.input_levels is {self.model.input_levels}, which is of images of 8 bits, "
                f"but the data set {self.data.name!r} gives {values}; set it to null"
            )
        eight_bits = (UINT8.center, UINT8.half_range)
        if values != UINT8 and (self.model.input_mean, self.model.input_scale) == eight_bits:
            raise ValueError(
                f"model.input_mean and model.input_scale are those of 8 bits, but the data set "
                f"{self.data.name!r} gives {values}; set both to null, or to the images' mean and "
                "standard deviation"
            )


def _lacks_inverse(stage: StageConfig) -> bool:
    """Whether the scale has a flow that depends on the image and cannot be traced back."""
    if stage.flow is None or not stage.decoder_blocks:
        return False
    spec, options = stage.flow.spec, stage.flow.options
    channels, declared = spec.context_channels, spec.inverse_gradient
    if channels is None or not channels(options, stage.latent_shape):
        return False
    return declared is None or not declared(options)
