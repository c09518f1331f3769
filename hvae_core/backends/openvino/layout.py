"""Taking the transposes out of a traced graph.

The model is channels-last and OpenVINO's convolutions are channels-first, so each comes wrapped in
two transposes, which OpenVINO leaves where they are: an activation or a sum between them keeps two
convolutions from being fused with it. Here the transpose after a convolution sinks through
elementwise operations until it meets the one before the next convolution, and both vanish.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino
import openvino.opset16 as opset
from openvino.passes import ConstantFolding, Manager

CHANNELS_FIRST, CHANNELS_LAST = [0, 3, 1, 2], [0, 2, 3, 1]
#: where an axis of a channels-last tensor lies in a channels-first one
AXIS = {0: 0, 1: 2, 2: 3, 3: 1}

#: operations of one tensor and options
UNARY = {
    "Abs", "Clamp", "Convert", "Elu", "Erf", "Exp", "Floor", "Gelu", "HSigmoid", "HSwish", "Log",
    "LogicalNot", "Mish", "Negative", "Relu", "Round", "Selu", "Sigmoid", "SoftPlus", "SoftSign",
    "Sqrt", "Swish", "Tanh",
}  # fmt: skip
#: operations of tensors that broadcast
ELEMENTWISE = {
    "Add", "Divide", "Equal", "Greater", "GreaterEqual", "Less", "LessEqual", "LogicalAnd",
    "LogicalOr", "Maximum", "Minimum", "Multiply", "Power", "Select", "SquaredDifference",
    "Subtract",
}  # fmt: skip
#: operations whose input of this number holds axes
AXES_INPUT = {"Slice": 4, "Split": 1, "VariadicSplit": 1}


def without_transposes(model: openvino.Model) -> openvino.Model:
    """Fold what is constant and sink the transposes of ``model``, in place; the same numbers."""
    manager = Manager()
    manager.register_pass(ConstantFolding())
    manager.run_passes(model)
    for node in model.get_ordered_ops():
        if _permutation(node) == CHANNELS_FIRST:
            before = node.input_value(0).get_node()
            if _permutation(before) == CHANNELS_LAST:
                _move(node.output(0), before.input_value(0))
        else:
            _sink_through(node)
    model.validate_nodes_and_infer_types()
    return model


def _sink_through(node: Any) -> None:
    """Let ``node`` work channels-first where one of its inputs is such a tensor, transposed."""
    kind = node.get_type_name()
    if kind in ELEMENTWISE or kind == "Concat":
        places = range(node.get_input_size())
    elif kind in UNARY or kind in AXES_INPUT:
        places = range(1)
    else:
        return
    inputs = [node.input_value(place) for place in places]
    if not any(_permutation(source.get_node()) == CHANNELS_LAST for source in inputs):
        return
    if not all(_rank(source) == 4 or _is_constant(source, 4) for source in inputs):
        return
    if kind in AXES_INPUT:
        axes = node.input_value(AXES_INPUT[kind])
        if not _is_constant(axes, 1):
            return
        moved = [AXIS[axis % 4] for axis in np.atleast_1d(axes.get_node().data).tolist()]
        shaped = np.asarray(moved, np.int64).reshape(list(axes.get_shape()))
        node.input(AXES_INPUT[kind]).replace_source_output(opset.constant(shaped).output(0))
    elif kind == "Concat":
        node.set_attribute("axis", AXIS[node.get_attributes()["axis"] % 4])
    for place, source in zip(places, inputs, strict=True):
        node.input(place).replace_source_output(_channels_first(source))
    node.validate_and_infer_types()
    for output in node.outputs():
        consumers = list(output.get_target_inputs())
        if consumers:
            transposed = opset.transpose(output, np.array(CHANNELS_LAST)).output(0)
            for consumer in consumers:
                consumer.replace_source_output(transposed)


def _channels_first(source: Any) -> Any:
    """The channels-first form of a channels-last tensor."""
    node = source.get_node()
    if _permutation(node) == CHANNELS_LAST:
        return node.input_value(0)
    if not _is_constant(source, 4):
        return opset.transpose(source, np.array(CHANNELS_FIRST)).output(0)
    if not source.get_shape():
        return source
    value = np.asarray(node.data)
    value = value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(CHANNELS_FIRST)
    return opset.constant(np.ascontiguousarray(value)).output(0)


def _permutation(node: Any) -> list[int] | None:
    """How a transpose of fixed order permutes; None for other operations."""
    if node.get_type_name() != "Transpose" or not _is_constant(node.input_value(1), 1):
        return None
    return node.input_value(1).get_node().data.tolist()


def _is_constant(output: Any, rank: int) -> bool:
    return output.get_node().get_type_name() == "Constant" and _rank(output) <= rank


def _rank(output: Any) -> int:
    rank = output.get_partial_shape().rank
    return rank.get_length() if rank.is_static else -1


def _move(output: Any, source: Any) -> None:
    """Let the consumers of ``output`` read ``source``."""
    for consumer in list(output.get_target_inputs()):
        consumer.replace_source_output(source)
