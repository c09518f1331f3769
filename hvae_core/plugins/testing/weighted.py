"""What components with weights promise: names, files, purity, gradients, compilation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from hvae_core.plugins.testing import numerics
from hvae_core.weights import load_weights, save_weights, weight_names


def built(layer: Any, shape: Sequence[int]) -> Any:
    """The layer with its weights, as the hierarchy builds it."""
    if not layer.built:
        layer.build((None, *shape))
    return layer


def names(layer: Any) -> list[str]:
    """The names of a layer's weights, none if it has none."""
    return list(weight_names(layer)) if layer.weights else []


def check_same_names(first: Any, second: Any) -> None:
    """Two layers of one process have weights of the same names, as a file needs them."""
    assert names(first) == names(second), "give every inner layer an explicit name="


def check_round_trip(source: Any, target: Any, folder: Path, inputs: Sequence[np.ndarray]) -> None:
    """Weights written by one layer and read by another give the same output."""
    if not names(source):
        return
    path = save_weights(source, folder / "weights.safetensors")
    load_weights(target, path)
    for a, b in zip(run(source, inputs), run(target, inputs), strict=True):
        np.testing.assert_array_equal(a, b)


def run(layer: Any, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a flow's ``forward`` or a block's ``call``."""
    function = outputs_of(layer)
    return [numerics.to_numpy(t) for t in function(*map(ops.convert_to_tensor, inputs))]


def outputs_of(layer: Any) -> Any:
    """A function of tensors that gives a list of tensors."""
    if hasattr(layer, "forward"):
        return lambda *tensors: list(layer.forward(*tensors))
    return lambda *tensors: [layer(*tensors)]


def check_purity(layer: Any, inputs: Sequence[np.ndarray]) -> None:
    """A call changes neither its inputs nor a weight, and the next one gives the same."""
    given = [np.array(x) for x in inputs]
    tensors = [ops.convert_to_tensor(x) for x in given]
    weights = [numerics.to_numpy(v.value) for v in layer.weights]
    function = outputs_of(layer)
    first = [numerics.to_numpy(t) for t in function(*tensors)]
    second = [numerics.to_numpy(t) for t in function(*tensors)]
    for before, tensor in zip(inputs, tensors, strict=True):
        np.testing.assert_array_equal(numerics.to_numpy(tensor), before, "an input was changed")
    for before, variable in zip(weights, layer.weights, strict=True):
        after = numerics.to_numpy(variable.value)
        np.testing.assert_array_equal(after, before, f"{variable.path} was changed by a call")
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b, "two calls differ")


def check_rows(layer: Any, inputs: Sequence[np.ndarray], tolerance: float) -> None:
    """Each row of a batch gives what it gives alone: any batch size, no mixing."""
    whole = run(layer, inputs)
    for row in range(len(inputs[0])):
        alone = run(layer, [x[row : row + 1] for x in inputs])
        for a, b in zip(whole, alone, strict=True):
            np.testing.assert_allclose(a[row : row + 1], b, rtol=tolerance, atol=tolerance)


def check_compiled(layer: Any, inputs: Sequence[np.ndarray], tolerance: float) -> None:
    """Compiled equals eager, for two batch sizes."""
    program = numerics.compiled(outputs_of(layer), layer.variables, inputs)
    for size in (len(inputs[0]), 1):
        rows = [x[:size] for x in inputs]
        results = program(*map(ops.convert_to_tensor, rows))
        for a, b in zip(results, run(layer, rows), strict=True):
            np.testing.assert_allclose(
                numerics.to_numpy(a), b, rtol=tolerance, atol=tolerance, err_msg="compiled"
            )


def check_gradients(layer: Any, inputs: Sequence[np.ndarray]) -> None:
    """A finite gradient, not zero, reaches every weight and every input."""

    def loss(*tensors: Any) -> Any:
        outputs = outputs_of(layer)(*tensors)
        weighted = [
            ops.sum(t * ops.convert_to_tensor(numerics.normal(t.shape, seed=7 + index)))
            for index, t in enumerate(outputs)
        ]
        return sum(weighted[1:], weighted[0])

    variables = layer.trainable_variables
    found = numerics.gradients(loss, variables, inputs)
    labels = [v.path for v in variables] + [f"input {index}" for index in range(len(inputs))]
    for label, gradient in zip(labels, found, strict=True):
        assert np.all(np.isfinite(gradient)), f"the gradient of {label} is not finite"
        assert np.any(gradient != 0.0), f"no gradient reaches {label}"
