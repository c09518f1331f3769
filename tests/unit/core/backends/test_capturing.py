"""A loss and its gradients recorded as one graph."""

import shutil

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.errors import BackendError, ConfigError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="of PyTorch's graphs")


def run_as_it_is(graph):
    return graph


class Line:
    """The squares of ``kernel x + bias - shift``, with a weight that nothing reads."""

    def __init__(self):
        rng = np.random.default_rng(0)
        self.trained = [
            keras.Variable(rng.normal(size=shape).astype("f")) for shape in ((3, 2), (2,), (4,))
        ]
        self.shift = keras.Variable(0.5, trainable=False)

    def __call__(self, batch, scale):
        kernel, bias, _ = self.trained
        error = ops.matmul(batch["x"], kernel) + bias - self.shift
        return scale * ops.mean(error**2), {"error": ops.mean(error, axis=0)}


def gradient_of(line, *, compile_graph=run_as_it_is):
    from hvae_core.backends.capturing import CapturedGradient

    return CapturedGradient(line, line.trained, [line.shift], compile_graph)


def batch(rows):
    x = np.random.default_rng(rows).normal(size=(rows, 3)).astype("f")
    return {"x": ops.convert_to_tensor(x)}


def assert_as_without(line, captured, rows):
    from hvae_core.backends.compiling import value_and_grad

    scale = torch.tensor(2.0)
    loss, aux, gradients = captured(batch(rows), scale)
    wanted = value_and_grad(lambda: line(batch(rows), scale), line.trained)
    torch.testing.assert_close((loss, aux, gradients), wanted)
    assert not any(tensor.requires_grad for tensor in (loss, aux["error"], *gradients))


@pytest.mark.parametrize("compile_graph", ["as it is", "inductor"])
def test_it_gives_what_is_computed_without(compile_graph, monkeypatch, tmp_path):
    """Also after the variables have changed, those that are not trained too."""
    how = run_as_it_is
    if compile_graph == "inductor":
        if shutil.which("g++") is None:
            pytest.skip("there is no C++ compiler")
        monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
        how = None
    line = Line()
    captured = gradient_of(line, compile_graph=how)
    assert_as_without(line, captured, 5)
    for variable in (*line.trained, line.shift):
        variable.assign(variable * 2 + 1)
    assert_as_without(line, captured, 5)


def test_a_graph_belongs_to_the_shapes_of_its_arguments():
    graphs = []
    line = Line()
    captured = gradient_of(line, compile_graph=lambda graph: graphs.append(graph) or graph)
    for rows in (5, 2, 5):
        assert_as_without(line, captured, rows)
    assert len(graphs) == 2


def test_what_cannot_be_captured_is_told():
    class Looking(Line):
        def __call__(self, batch, scale):
            return (scale if float(batch["x"][0, 0]) > 0 else -scale) * ops.sum(self.trained[0]), {}

    class Drawing(Line):
        def __call__(self, batch, scale):
            return scale * ops.sum(self.trained[0] * torch.rand(3, 2)), {}

    for kind, words in ((Looking, "looks at the numbers"), (Drawing, "draws random numbers")):
        with pytest.raises(ConfigError, match=f"train.compile is inductor, but .* {words}"):
            gradient_of(kind())(batch(2), torch.tensor(1.0))


def test_without_a_compiler_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    from torch._inductor import config, cpp_builder

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    cpp_builder.cpp_compiler_search.cache_clear()
    try:
        with pytest.raises(BackendError, match="Inductor could not compile") as told:
            gradient_of(Line(), compile_graph=None)(batch(3), torch.tensor(1.0))
    finally:
        cpp_builder.cpp_compiler_search.cache_clear()
    assert "C++ compiler" in told.value.hint


def test_another_failure_of_inductor_does_not_blame_the_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    from torch._inductor import graph

    def fail(*_):
        raise AssertionError("broken")

    monkeypatch.setattr(graph.GraphLowering, "codegen", fail)
    with pytest.raises(BackendError, match="could not compile .*broken") as told:
        gradient_of(Line(), compile_graph=None)(batch(4), torch.tensor(1.0))
    assert told.value.hint == "Set train.compile to true."
