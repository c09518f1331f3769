"""The contract of attention across the layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from hvae_core.config import ModelConfig
from hvae_core.interfaces import Attention, Tensor
from hvae_core.layers import dtype_policy
from hvae_core.model.shapes import hierarchy_shape
from hvae_core.plugins.testing.layer import LayerContract

_WIDTHS = {"width": 8, "encoder_middle_width": 4, "decoder_middle_width": 4, "latent_width": 2}
MODELS: tuple[dict[str, Any], ...] = (
    {"resolutions": [8, 4, 2, 1], "encoder_blocks": [1, 0, 1, 1], "decoder_blocks": [1, 0, 1, 1]},
    {"resolutions": [2], "encoder_blocks": 0, "decoder_blocks": 1},
)


class AttentionContract(LayerContract):
    """An attention changes the stream and the encoder's features by what it read before.

    Attributes:
        models: the section ``model`` of the configurations to try; a scale may have no blocks.
    """

    kind = "attention"
    models: ClassVar[Sequence[Mapping[str, Any]]] = MODELS

    def cases(self) -> Sequence[ModelConfig]:
        """The models' options."""
        return [ModelConfig.model_validate({**_WIDTHS, **model}) for model in self.models]

    def make(self, config: dict[str, Any], case: ModelConfig) -> Any:
        """An attention, built as the hierarchy builds it."""
        attention = self.component.build(
            self.options(config), hierarchy_shape(case), name="attention"
        )
        attention.build(None)
        return attention

    def inputs(self, config: dict[str, Any], case: ModelConfig) -> list[np.ndarray]:
        """The features of each scale, then a stream and an h for each latent layer."""
        rng = np.random.default_rng(17)
        shapes = [(stage.resolution, stage.resolution, stage.width) for stage in case.stages]
        below = [shapes[stage.index] for stage in _places(case) for _ in range(2)]
        return [rng.normal(size=(self.rows, *s)).astype("f") for s in (*shapes, *below)]

    def _pass(
        self, layer: Any, case: ModelConfig, inputs: Sequence[Tensor], prior_only: bool = False
    ) -> list[tuple[Tensor, ...]]:
        """What each latent layer is given: the stream and, in a posterior pass, the features."""
        count = len(case.stages)
        features, streams = inputs[:count], iter(inputs[count:])
        state = layer.start(None if prior_only else features)
        given, place = [], 0
        for stage in reversed(case.stages):
            state = layer.resize(state, stage.index)
            for _ in range(stage.decoder_blocks):
                x = layer.read_prior(state, next(streams), place)
                mine = features[stage.index]
                read = () if prior_only else (layer.read_posterior(state, x, mine, place),)
                given.append((x, *read))
                state = layer.write(state, next(streams), place)
                place += 1
        return given

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """All that the latent layers are given."""
        case = next(case for case in self.cases() if _fits(case, inputs))
        return tuple(tensor for given in self._pass(layer, case, inputs) for tensor in given)

    def test_it_is_an_attention_that_keeps_the_shapes(
        self, config: dict[str, Any], case: Any
    ) -> None:
        """An `Attention` and a Keras layer; what it gives has the shapes of what it is given."""
        trial = self.trial(config, case)
        attention, outputs = trial.layer, trial.outputs
        assert isinstance(attention, Attention)
        assert isinstance(attention, keras.layers.Layer)
        assert attention.name == "attention", "it must keep the name it is given"
        expected = [
            (self.rows, stage.resolution, stage.resolution, stage.width)
            for stage in _places(case)
            for _ in range(2)
        ]
        assert [output.shape for output in outputs] == expected
        assert all(np.isfinite(output).all() for output in outputs)

    def test_the_prior_does_not_see_the_image(self, config: dict[str, Any], case: Any) -> None:
        """The streams of a prior pass are those of a posterior pass."""
        trial = self.trial(config, case)

        def prior_pass(layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
            return tuple(x for (x,) in self._pass(layer, case, inputs, prior_only=True))

        streams = trial.outputs[::2]
        for same, x in zip(trial.run(trial.inputs, prior_pass), streams, strict=True):
            np.testing.assert_allclose(same, x, atol=self.tolerance)

    def test_it_computes_in_the_policy_s_precision(self, config: dict[str, Any], case: Any) -> None:
        """Under mixed_bfloat16 what it gives is bfloat16 and the weights stay float32."""
        with dtype_policy("mixed_bfloat16"):
            attention = self.make(config, case)
        assert {str(variable.dtype) for variable in attention.weights} <= {"float32"}
        inputs = [
            ops.cast(ops.convert_to_tensor(array), "bfloat16")
            for array in self.inputs(config, case)
        ]
        for tensor in self.compute_at_once(attention, *inputs):
            assert keras.backend.standardize_dtype(tensor.dtype) == "bfloat16"


def _places(case: ModelConfig) -> list[Any]:
    """The scale of each latent layer, coarsest first."""
    return [stage for stage in reversed(case.stages) for _ in range(stage.decoder_blocks)]


def _fits(case: ModelConfig, inputs: Sequence[Tensor]) -> bool:
    sides = [stage.resolution for stage in case.stages]
    wanted = [*sides, *(stage.resolution for stage in _places(case) for _ in range(2))]
    return wanted == [tensor.shape[1] for tensor in inputs]
