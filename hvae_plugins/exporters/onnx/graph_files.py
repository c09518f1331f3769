"""Tracing a model's graphs and writing them as ONNX. Needs Keras on PyTorch."""

from __future__ import annotations

import contextlib
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch.overrides import TorchFunctionMode

from hvae_core.inference.programs import Graph

OPSET = 20
#: smaller tensors are not worth the accuracy
SMALLEST_COMPRESSED = 256


class _Module(torch.nn.Module):
    """A graph's function, with the model's weights as parameters of its own."""

    def __init__(self, graph: Graph, model: torch.nn.Module) -> None:
        super().__init__()
        self.model, self.function = model, graph.function

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """The outputs in the order of their names."""
        with _WithoutIdleCasts():
            return tuple(self.function(*tensors).values())


class _WithoutIdleCasts(TorchFunctionMode):
    """Leaves out moves of a tensor to where it is, which Keras asks for before each operation.

    Traced, with what is asserted of each, they would be half of the graph's nodes.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.to and len(args) == 2 and not kwargs:
            tensor, to = args
            if isinstance(to, torch.dtype):
                idle = to == tensor.dtype
            else:
                idle = isinstance(to, str) and torch.device(to) == tensor.device
            if idle:
                return tensor
        return func(*args, **kwargs)


def save_graph(graph: Graph, model: Any, path: Path, precision: str) -> list[str]:
    """Write ``graph`` to ``path``.

    Args:
        graph: of ``model``.
        model: a model on the torch backend.
        path: the file.
        precision: what the weights are stored in: float32, float16 or int8 (symmetric, a scale for
            each output channel). Computed is in float32.

    Returns:
        The names of the outputs.
    """
    # 3 rows: an axis of 1 or 2 may be taken for one that is so by design.
    arrays = [np.full([3 if n is None else n for n in s.shape], 0.5, s.dtype) for s in graph.inputs]
    examples = tuple(torch.from_numpy(array) for array in arrays)
    rows = torch.export.Dim("batch", min=1)
    axes = tuple({0: rows} if spec.shape[0] is None else None for spec in graph.inputs)
    with torch.no_grad(), _quiet():
        names = list(graph.function(*examples))
        program = torch.onnx.export(
            _Module(graph, model).eval(),
            examples,
            dynamo=True,
            dynamic_shapes={"tensors": axes},
            input_names=[spec.name for spec in graph.inputs],
            output_names=names,
            opset_version=OPSET,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    if precision != "float32":
        compress_weights(proto.graph, precision)
    # A protocol buffer holds at most 2 GiB.
    size = sum(len(tensor.raw_data) for tensor in proto.graph.initializer)
    onnx.save(proto, path, save_as_external_data=size > 2**30, location=f"{path.name}.data")
    return names


@contextlib.contextmanager
def _quiet() -> Any:
    """What PyTorch's exporter says of its own inner life is no news to a user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(sys.stderr):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def compress_weights(graph: Any, precision: str) -> None:
    """Store the float32 weights of an ONNX graph as float16 or int8, in place.

    A node that turns each back into float32 stands before its use; onnxruntime computes it once.
    """
    nodes = []
    takers = {node.input[1]: node for node in reversed(graph.node) if len(node.input) > 1}
    for tensor in list(graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALLEST_COMPRESSED:
            continue
        value = numpy_helper.to_array(tensor)
        stored = f"{tensor.name}.{precision}"
        graph.initializer.remove(tensor)
        if precision == "float16":
            graph.initializer.append(numpy_helper.from_array(value.astype(np.float16), stored))
            nodes.append(helper.make_node("Cast", [stored], [tensor.name], to=TensorProto.FLOAT))
            continue
        axis = _output_axis(takers.get(tensor.name), value.ndim)
        others = tuple(other for other in range(value.ndim) if other != axis)
        largest = np.abs(value).max(axis=others)
        scale = np.maximum(largest / 127.0, 1e-12).astype(np.float32)
        whole = np.rint(value / np.expand_dims(scale, others))
        whole = np.clip(whole, -127, 127).astype(np.int8)
        graph.initializer.append(numpy_helper.from_array(whole, stored))
        graph.initializer.append(numpy_helper.from_array(scale, f"{stored}.scale"))
        nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [stored, f"{stored}.scale"],
                [tensor.name],
                axis=axis,
            )
        )
    for node in reversed(nodes):
        graph.node.insert(0, node)


def _output_axis(node: Any, rank: int) -> int:
    """Which axis of a weight has the output channels of the node that takes it as its second input.

    The exporter folds Keras's transpositions into the weights: that of a convolution is OIHW.
    """
    kind = None if node is None else node.op_type
    if kind == "Conv":
        return 0
    if kind == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute):
        return 0
    return rank - 1  # of a matrix product, and of Keras's kernels as they are
