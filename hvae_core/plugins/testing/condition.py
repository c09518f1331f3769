"""The contract of conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from hvae_core.interfaces import Condition, ConditionValues, Tensor
from hvae_core.layers import dtype_policy
from hvae_core.plugins.testing.layer import LayerContract


class ConditionContract(LayerContract):
    """A condition maps [B, ...], as its values are encoded, to an embedding [B, width]."""

    kind = "condition"

    def cases(self) -> Sequence[None]:
        """One: it is told no shape."""
        return [None]

    def values(self, config: dict[str, Any]) -> ConditionValues:
        """What its spec says of its values."""
        describe = self.component.condition_values
        assert describe is not None, "the spec has no condition_values"
        return describe(self.options(config))

    def make(self, config: dict[str, Any], case: None) -> Any:
        """A condition, built as the network builds it."""
        with dtype_policy("float32"):
            condition = self.component.build(self.options(config), name="condition")
        condition.build((None, *self.values(config).shape))
        return condition

    def inputs(self, config: dict[str, Any], case: None) -> list[np.ndarray]:
        """Conditions of three images, encoded."""
        values = self.values(config)
        if values.form == "class":
            return [values.encode(np.arange(self.rows) % values.size, self.rows)]
        numbers = np.random.default_rng(3).normal(size=(self.rows, values.size))
        return [values.encode(numbers, self.rows)]

    def apply(self, layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Call it."""
        return (layer(*inputs),)

    def test_it_is_a_condition_of_the_width_it_says(self, config: dict[str, Any]) -> None:
        """A `Condition` and a Keras layer; [B, width] out, as its options and itself say."""
        trial = self.trial(config, None)
        condition, (output,) = trial.layer, trial.outputs
        assert isinstance(condition, Condition)
        assert isinstance(condition, keras.layers.Layer)
        assert condition.name == "condition", "it must keep the name it is given"
        assert condition.width == self.options(config).width, "the width is not the options'"
        assert output.shape == (self.rows, condition.width)
        assert np.isfinite(output).all()

    def test_another_condition_has_another_embedding(self, config: dict[str, Any]) -> None:
        """Also the null condition, where there is one."""
        values, trial = self.values(config), self.trial(config, None)
        one, other = trial.inputs[0][:1], trial.inputs[0][1:2]
        others = [other] if values.form == "numbers" or values.size > 1 else []
        others += [values.nulls(1)] if values.has_null else []
        own = trial.run([one])[0]
        for given in others:
            assert np.abs(trial.run([given])[0] - own).max() > 1e-6

    def test_its_embedding_is_float32(self, config: dict[str, Any]) -> None:
        """In a model of bfloat16 too: what is given may need more than its 8 bits."""
        with dtype_policy("mixed_bfloat16"):
            condition = self.make(config, None)
        assert {str(variable.dtype) for variable in condition.weights} <= {"float32"}
        (array,) = self.inputs(config, None)
        (output,) = self.compute_at_once(condition, ops.convert_to_tensor(array))
        assert keras.backend.standardize_dtype(output.dtype) == "float32"
