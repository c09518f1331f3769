"""CUDA graphs as far as a processor can tell: what is captured, copied, and left as it is."""

import contextlib

import keras
import numpy as np
import pytest
from tiny import merged

from hvae_core.backends import capturing, cuda_graphs
from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(keras.config.backend() != "torch", reason="of PyTorch's graphs")


@pytest.fixture
def replays(monkeypatch):
    """The functions that were replayed; a replay computes anew, in the memory of the capture."""
    found = []

    def stand_in(function, inputs):
        outputs = keras.tree.map_structure(torch.clone, function(*inputs))

        def replay():
            found.append(function)
            new = keras.tree.flatten(function(*inputs))
            for held, value in zip(keras.tree.flatten(outputs), new, strict=True):
                held.copy_(value)

        return replay, outputs

    monkeypatch.setattr(cuda_graphs, "captured", stand_in)
    monkeypatch.setattr(cuda_graphs, "_are_on_cuda", lambda tensors: True)
    monkeypatch.delenv("HVAE_CUDA_GRAPHS", raising=False)
    return found


def line(weights, x, factor):
    return {"y": factor * (x @ weights[0] + weights[1]), "same": x}


def test_results_are_of_their_own_call(replays):
    graph = cuda_graphs.launched_at_once(line)
    weights = [torch.ones(2, 2), torch.zeros(2)]
    first = graph(weights, torch.full((1, 2), 1.0), 2.0)
    weights[1].add_(1.0)
    second = graph(weights, torch.full((1, 2), 3.0), 2.0)
    assert first["y"].tolist() == [[4.0, 4.0]]
    assert second["y"].tolist() == [[14.0, 14.0]]
    assert second["same"].tolist() == [[3.0, 3.0]]
    assert weights[1].tolist() == [1.0, 1.0]
    assert replays == [line, line]


def test_what_cannot_be_captured_is_replayed_without(replays, monkeypatch):
    def refused(function, inputs):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(cuda_graphs, "captured", refused)
    graph = cuda_graphs.launched_at_once(line)
    found = graph([torch.ones(2, 2), torch.zeros(2)], torch.ones(1, 2), 1.0)
    assert found["y"].tolist() == [[2.0, 2.0]]


def test_a_processor_has_none(monkeypatch):
    def refused(function, inputs):
        raise AssertionError

    monkeypatch.setattr(cuda_graphs, "captured", refused)
    x = torch.ones(1, 2)
    assert cuda_graphs.launched_at_once(line)([torch.ones(2, 2), x[0]], x, 1.0)["same"] is x


def test_they_can_be_turned_off(replays, monkeypatch):
    monkeypatch.setenv("HVAE_CUDA_GRAPHS", "0")
    assert cuda_graphs.launched_at_once(line) is line


def test_warmed_up_on_the_stream_that_captures(monkeypatch):
    events = []

    class Stream:
        def wait_stream(self, other):
            events.append((self.name, "waits for", other.name))

    def stream(name):
        made = Stream()
        made.name = name
        return made

    @contextlib.contextmanager
    def on(made):
        events.append(("on", made.name))
        yield

    @contextlib.contextmanager
    def capture(graph, pool, stream, capture_error_mode):
        events.append(("capture", graph, pool, stream.name, capture_error_mode))
        yield

    class Graph:
        def replay(self):
            events.append("replay")

        def __repr__(self):
            return "graph"

        __eq__ = object.__eq__
        __hash__ = object.__hash__

    main, graph = stream("main"), Graph()
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream("side"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: main)
    monkeypatch.setattr(torch.cuda, "stream", on)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", lambda: graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    monkeypatch.setattr(cuda_graphs, "_memory", lambda: "pool")
    replay, outputs = cuda_graphs.captured(lambda x: events.append("run") or x, ("x",))
    replay()
    assert outputs == "x"
    assert events == [
        ("side", "waits for", "main"),
        ("on", "side"),
        *["run"] * cuda_graphs.WARM_UPS,
        ("main", "waits for", "side"),
        ("capture", graph, "pool", "side", "thread_local"),
        "run",
        "replay",
    ]


def test_updates_are_those_without(replays, monkeypatch):
    """With micro-batches, whose gradients are added, and an update that is skipped."""
    images = np.random.default_rng(0).integers(0, 17, (4, 8, 8, 1)).astype(np.uint8)
    train = {"optimizer": "adamax", "accumulate": 2, "ema_decay": 0.9, "skip_norm": 1e4}

    def updates(compiles):
        config = merged({"train": {**train, "compile": compiles}})
        model = HierarchicalVAE(config)
        step = build_step(model, config.train)
        figures = []
        for number in range(6):
            noise = np.full((4, step.noise_size), 1e30 if number == 4 else number, "f")
            found = step(images, step=number, learning_rate=1e-2, beta=1.0, noise=noise)
            figures.append(found)
        return [step.read(found) for found in figures], step.weights()

    monkeypatch.setattr(capturing, "CALLS_BEFORE_RECORDING", 2)
    with_graphs, weights = updates(True)
    assert len(replays) > 4
    without, expected = updates(False)
    assert [found["skipped"] for found in without] == [0.0] * 4 + [1.0, 0.0]
    np.testing.assert_equal(with_graphs, without)
    np.testing.assert_equal(weights, expected)
