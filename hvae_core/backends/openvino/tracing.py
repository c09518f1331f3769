"""From a function of Keras tensors to an OpenVINO model. Keras must run on the openvino backend.

That backend computes nothing when an operation is called: its tensors are outputs of a graph. A
function called on placeholders therefore leaves its whole graph behind, with the weights as
constants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import openvino
import openvino.opset16 as opset
from keras import ops, tree

from hvae_core.backends.openvino.layout import without_transposes
from hvae_core.backends.openvino.running import Program
from hvae_core.interfaces import TensorSpec


def trace(function: Callable[..., Any], arguments: Any) -> tuple[openvino.Model, Any]:
    """The model that ``function`` is.

    Args:
        function: of tensors; returns a pytree of tensors.
        arguments: its positional arguments, a pytree with a `TensorSpec` for each tensor.

    Returns:
        The model, its inputs in the order of the specs and its outputs in the order of the
        flattened result, and the result's structure with numbers in place of the tensors.
    """
    parameters = [_parameter(spec) for spec in tree.flatten(arguments)]
    tensors = [ops.convert_to_tensor(parameter.output(0)) for parameter in parameters]
    results = function(*tree.pack_sequence_as(arguments, tensors))
    outputs = [ops.convert_to_tensor(result).output for result in tree.flatten(results)]
    model = openvino.Model([opset.result(output) for output in outputs], parameters, "hvae")
    structure = tree.pack_sequence_as(results, list(range(len(outputs))))
    return without_transposes(model), structure


def _parameter(spec: TensorSpec) -> Any:
    shape = [-1 if size is None else size for size in spec.shape]
    node = opset.parameter(shape, np.dtype(spec.dtype), name=spec.name)
    node.output(0).get_tensor().set_names({spec.name})
    return node


class Traced:
    """A function as OpenVINO programs: one for each set of shapes, traced when it first comes up.

    The weights are constants of the programs; if a variable has got a new value, they are traced
    anew.

    Args:
        function: pure in its arguments and in ``variables``; returns a pytree of tensors.
        variables: the Keras variables it reads.
    """

    def __init__(self, function: Callable[..., Any], variables: Sequence[keras.Variable]) -> None:
        self._function, self._variables = function, variables
        self._values: list[Any] = []
        self._programs: dict[Any, tuple[Program, Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        """The result as a pytree of NumPy arrays."""
        arrays = [_array(value) for value in tree.flatten(arguments)]
        values = [variable.value for variable in self._variables]
        if any(a is not b for a, b in zip(values, self._values, strict=bool(self._values))):
            self._programs.clear()
        self._values = values
        shapes = tuple((array.shape, array.dtype.name) for array in arrays)
        # Arrays of equal shapes may stand under different names.
        key = (shapes, tuple(path for path, _ in tree.flatten_with_path(arguments)))
        if key not in self._programs:
            settle(self._variables)
            self._values = [variable.value for variable in self._variables]
            specs = [
                TensorSpec(f"argument{place}", shape, dtype)
                for place, (shape, dtype) in enumerate(shapes)
            ]
            model, structure = trace(self._function, tree.pack_sequence_as(arguments, specs))
            self._programs[key] = Program(model), structure
        program, structure = self._programs[key]
        results = program(arrays)
        return tree.map_structure(lambda place: results[place], structure)


def _array(value: Any) -> np.ndarray:
    """A tensor, an array or a number as an array; Python's numbers as float32 or int32."""
    if isinstance(value, int | float):
        return np.asarray(value, np.float32 if isinstance(value, float) else np.int32)
    return np.asarray(ops.convert_to_numpy(value))


def settle(variables: Sequence[keras.Variable]) -> None:
    """Compute variables that were assigned a graph, which a model must not share or repeat."""
    for variable in variables:
        if variable.value.output.get_node().get_type_name() != "Constant":
            variable.assign(ops.convert_to_numpy(variable.value))
