"""Progress, TensorBoard and the request to stop."""

import io
import os
import signal
import types

import pytest
from hvae_core.training.tensorboard import TensorBoard
from rich.console import Console

from hvae_core.training.interruption import InterruptedRun, Interruption
from hvae_core.training.progress import ProgressDisplay

STEP = {
    "event": "step", "step": 5, "epoch": 1, "loss": 1.0, "rate": 0.25, "distortion": 0.75,
    "gradient_norm": 2.0, "kl_per_layer": [1.0, 15.0], "skipped": 1, "images_per_second": 12.0,
}  # fmt: skip
EPOCH = {
    **STEP, "event": "epoch",
    "validation": {"elbo": -60.0, "bits_per_dim": 1.35, "nats": 60.0, "kl_per_layer": [1.0, 2.0]},
}  # fmt: skip


@pytest.fixture
def make_run(tmp_path):
    def make(unit="bits/dim"):
        model = types.SimpleNamespace(
            image_shape=(8, 8, 1), likelihood=types.SimpleNamespace(unit=unit)
        )
        train = types.SimpleNamespace(batch_size=4)
        return types.SimpleNamespace(
            model=model, config=types.SimpleNamespace(train=train), output=tmp_path,
            step=5, epoch=1, total_steps=10, steps_per_epoch=5,
        )  # fmt: skip

    return make


def show(run, terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=250)
    display = ProgressDisplay(console)
    display.start(run)
    display.update(run, STEP)
    display.record(run, STEP)
    display.record(run, EPOCH)
    display.note("a note [with brackets]")
    display.close(run)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("unit", "bound", "validation"),
    [("bits/dim", "1.4427 bits/dim", "1.3500 bits/dim"), ("nats", "64.0000 nats", "60.0000 nats")],
)
def test_plain_lines_where_there_is_no_terminal(make_run, unit, bound, validation):
    lines = show(make_run(unit), terminal=False).splitlines()
    assert len(lines) == 3
    for part in ("step 5/10", "loss 1.0000", "rate 0.2500", "distortion 0.7500", bound,
                 "gradient norm 2", "12.0 images/s", "1 skipped", "left"):  # fmt: skip
        assert part in lines[0]
    assert lines[1].startswith("epoch 1, step 5/10")
    assert f"validation {validation}" in lines[1]
    assert lines[2] == "a note [with brackets]"


def test_a_bar_on_a_terminal(make_run):
    shown = show(make_run(), terminal=True)
    assert "5/10" in shown
    assert "loss 1.0000" in shown
    assert "1.4427 bits/dim" in shown


def test_tensorboard_reads_the_scalars(make_run):
    pytest.importorskip("tensorboard")
    from tensorboard.compat.proto.event_pb2 import Event

    run = make_run()
    writer = TensorBoard()
    writer.start(run)
    writer.record(run, STEP)
    writer.record(run, EPOCH)
    writer.close(run)
    (path,) = (run.output / "tensorboard").iterdir()
    raw, events = path.read_bytes(), []
    while raw:  # length, its checksum, the event, its checksum
        length = int.from_bytes(raw[:8], "little")
        events.append(Event.FromString(raw[12 : 12 + length]))
        raw = raw[16 + length :]
    assert events[0].file_version == "brain.Event:2"
    assert events[1].session_log.status == events[1].session_log.START
    scalars = {value.tag: value.simple_value for e in events for value in e.summary.value}
    assert scalars["train/loss"] == 1.0
    assert scalars["train/kl_per_layer/01"] == 15.0
    assert scalars["validation/bits_per_dim"] == pytest.approx(1.35)
    assert {event.step for event in events[2:]} == {5}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_at_the_next_item(number):
    before = signal.getsignal(number)
    seen = []
    with Interruption() as interruption, pytest.raises(InterruptedRun):  # noqa: PT012
        for item in interruption.watch(range(5)):
            seen.append(item)
            if item == 1:
                os.kill(os.getpid(), number)
    assert seen == [0, 1]
    assert signal.getsignal(number) is before


def test_a_second_signal_stops_at_once():
    with Interruption(), pytest.raises(KeyboardInterrupt):  # noqa: PT012
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
