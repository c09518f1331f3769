"""Functions of tensors, and gradients, recorded as one graph."""

import shutil

import keras
import numpy as np
import pytest
from keras import ops

from hvae_core.backends import capturing, compiling
from hvae_core.backends.gradients import gradient_of
from hvae_core.errors import BackendError, ConfigError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="of PyTorch's graphs")


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


def recorded_gradient(line, how="replay"):
    return gradient_of(line, line.trained, [line.shift], record=how)


def batch(rows):
    x = np.random.default_rng(rows).normal(size=(rows, 3)).astype("f")
    return {"x": ops.convert_to_tensor(x)}


def assert_as_without(line, captured, rows):
    scale = torch.tensor(2.0)
    loss, aux, gradients = captured(batch(rows), scale)
    wanted = compiling.value_and_grad(lambda: line(batch(rows), scale), line.trained)
    torch.testing.assert_close((loss, aux, gradients), wanted)
    assert not any(tensor.requires_grad for tensor in (loss, aux["error"], *gradients))


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that are recorded, which is done at the second call."""
    monkeypatch.setattr(capturing, "CALLS_BEFORE_RECORDING", 1)
    found = []
    recorded = capturing.Captured._recorded

    def recording(*inputs):
        found.append(recorded(*inputs))
        return found[-1]

    monkeypatch.setattr(capturing.Captured, "_recorded", recording)
    return found


@pytest.mark.parametrize("how", ["replay", "inductor"])
def test_it_gives_what_is_computed_without(how, graphs, monkeypatch, tmp_path):
    """Also after the variables have changed, those that are not trained too."""
    if how == "inductor" and shutil.which("g++") is None:
        pytest.skip("there is no C++ compiler")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    line = Line()
    captured = recorded_gradient(line, how)
    for _ in range(4):
        assert_as_without(line, captured, 5)
        for variable in (*line.trained, line.shift):
            variable.assign(variable * 2 + 1)
    assert len(graphs) == 1


def test_a_replay_runs_neither_python_nor_keras(graphs):
    line = Line()
    captured = recorded_gradient(line)
    for _ in range(3):
        assert_as_without(line, captured, 5)
    line.trained[0].assign(line.trained[0] + 1)
    Line.__call__, kept = None, Line.__call__
    try:
        found = captured(batch(5), torch.tensor(2.0))
    finally:
        Line.__call__ = kept
    wanted = compiling.value_and_grad(lambda: line(batch(5), torch.tensor(2.0)), line.trained)
    torch.testing.assert_close(found, wanted)


def test_a_graph_belongs_to_the_shapes_of_its_arguments(graphs):
    line = Line()
    captured = recorded_gradient(line)
    for rows in (5, 5, 2, 2, 5, 2):
        assert_as_without(line, captured, rows)
    assert len(graphs) == 2


def test_nothing_is_recorded_for_a_few_calls(monkeypatch):
    monkeypatch.setattr(capturing.Captured, "_recorded", None)
    line = Line()
    captured = recorded_gradient(line)
    for _ in range(capturing.CALLS_BEFORE_RECORDING):
        assert_as_without(line, captured, 1)


def test_a_program_without_gradients_takes_arrays_and_values(graphs):
    line = Line()

    def function(inputs, count):
        return {"moved": [ops.multiply(inputs["x"][0], line.shift) + count], "none": None}

    program = compiling.compiled(function, [line.shift])
    for number in (1.0, 2.0, 3.0, 4.0):
        line.shift.assign(number)
        for count in (1, 2):
            found = program({"x": [np.full(3, number, "f")]}, count)
            assert found["moved"][0].tolist() == [number**2 + count] * 3
            assert found["none"] is None
    assert len(graphs) == 2  # one for each count


@pytest.mark.parametrize("how", ["numpy", "torch", "looks", "lists", "fails"])
def test_what_cannot_be_recorded_goes_on_as_it_is(how, graphs):
    """Also what would be recorded with a number that changes."""
    line = Line()
    rng = np.random.default_rng(0)

    def function(x):
        if how == "numpy":
            return x + float(rng.normal())
        if how == "torch":
            return x + torch.rand(2)
        if how == "looks":
            return x if float(x[0]) > 0 else -x
        if how == "fails":
            assert type(x) is torch.Tensor
            return x + 1
        return x + len(set(x.tolist()))

    program = compiling.compiled(function, [line.shift])
    for number in (1.0, -1.0, 2.0, -2.0):
        drawn = [program(torch.tensor([number, number])).tolist() for _ in range(2)]
        if how == "looks":
            assert drawn == [[abs(number)] * 2] * 2
        elif how in ("lists", "fails"):
            assert drawn == [[number + 1] * 2] * 2
        else:
            assert drawn[0] != drawn[1]


def test_what_cannot_be_captured_is_told():
    class Looking(Line):
        def __call__(self, batch, scale):
            return (scale if float(batch["x"][0, 0]) > 0 else -scale) * ops.sum(self.trained[0]), {}

    class Drawing(Line):
        def __call__(self, batch, scale):
            return scale * ops.sum(self.trained[0] * torch.rand(3, 2)), {}

    for kind, words in ((Looking, "looks at the numbers"), (Drawing, "draws random numbers")):
        with pytest.raises(ConfigError, match=f"train.compile is inductor, but .* {words}"):
            recorded_gradient(kind(), "inductor")(batch(2), torch.tensor(1.0))


def test_without_a_compiler_it_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    from torch._inductor import config, cpp_builder

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    cpp_builder.cpp_compiler_search.cache_clear()
    try:
        with pytest.raises(BackendError, match="Inductor could not compile") as told:
            recorded_gradient(Line(), "inductor")(batch(3), torch.tensor(1.0))
    finally:
        cpp_builder.cpp_compiler_search.cache_clear()
    assert "C++ compiler" in told.value.hint


def test_another_failure_of_inductor_does_not_blame_the_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    from torch._inductor import graph

    def fail(*_):
        raise AssertionError("broken")

    monkeypatch.setattr(graph.GraphLowering, "codegen", fail)
    with pytest.raises(BackendError, match=r"could not compile .*broken") as told:
        recorded_gradient(Line(), "inductor")(batch(4), torch.tensor(1.0))
    assert told.value.hint == "Set train.compile to true."
