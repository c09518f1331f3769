"""Progress, trackers and the request to stop."""

import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
import types

import numpy as np
import pytest
from rich.console import Console

from hvae_core.interfaces import Tracker
from hvae_core.training.beginning import Beginning
from hvae_core.training.interruption import InterruptedRun, Interruption
from hvae_core.training.progress import ProgressDisplay
from hvae_core.training.tracking import Tracking

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
            step=5, epoch=1, total_steps=10, steps_per_epoch=5, seconds_left=None,
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
    display.note(run, "a note [with brackets]")
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


def test_where_time_decides_what_is_left_of_it_is_told(make_run):
    run = make_run("bits/dim")
    run.seconds_left = 3723.4
    assert show(run, terminal=False).splitlines()[0].endswith(", 1:02:03 left")
    assert "left 1:02:03" in show(run, terminal=True)


def test_a_bar_on_a_terminal(make_run):
    shown = show(make_run(), terminal=True)
    assert "5/10" in shown
    assert "loss 1.0000" in shown
    assert "1.4427 bits/dim" in shown


class Recorder(Tracker):
    """Keeps what it is given, and fails when told to."""

    def __init__(self):
        self.calls, self.fails = [], False

    def _call(self, *arguments):
        if self.fails:
            raise OSError("no route\nto host")
        self.calls.append(arguments)

    def start(self, config, name, folder, step):
        self._call("start", config, name, folder, step)

    def scalars(self, step, values):
        self._call("scalars", step, values)

    def image(self, step, name, image):
        self._call("image", step, name, image.shape)

    def finish(self):
        self._call("finish")


def watched(make_run):
    run, recorder, notes = make_run(), Recorder(), []
    run.note = notes.append
    run.config.to_dict = lambda: {"train": {"batch_size": 4}}
    return run, recorder, notes, Tracking("acme", recorder)


def test_a_tracker_gets_configuration_numbers_and_pictures(make_run):
    run, recorder, notes, tracking = watched(make_run)
    tracking.start(run)
    tracking.record(run, STEP)
    tracking.record(run, EPOCH)
    tracking.image(run, "samples", np.zeros((4, 4, 1), np.uint8))
    tracking.close(run)
    start, step, epoch, image, finish = recorder.calls
    assert start == ("start", {"train": {"batch_size": 4}}, run.output.name, run.output, 5)
    assert step[:2] == ("scalars", 5)
    assert step[2]["train/loss"] == 1.0
    assert step[2]["train/kl_per_layer/01"] == 15.0
    assert "train/step" not in step[2]
    assert epoch[2]["epoch/rate"] == 0.25
    assert epoch[2]["validation/bits_per_dim"] == 1.35
    assert image == ("image", 5, "samples", (4, 4, 1))
    assert finish == ("finish",)
    assert notes == []


@pytest.mark.parametrize("fails_at", ["start", "record", "close"])
def test_a_tracker_that_fails_is_told_once_and_harms_nothing(make_run, fails_at):
    run, recorder, notes, tracking = watched(make_run)
    for name, arguments in (
        ("start", ()),
        ("record", (STEP,)),
        ("record", (EPOCH,)),
        ("close", ()),
    ):
        recorder.fails = recorder.fails or name == fails_at
        getattr(tracking, name)(run, *arguments)
    assert notes == [
        "The tracker acme failed and is left out from here on: no route to host. "
        "metrics.jsonl has all figures."
    ]


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


def test_a_word_comes_while_the_main_thread_is_in_a_compiler():
    told = []
    with Interruption(lambda text: told.append((time.monotonic(), text))) as interruption:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        hashlib.pbkdf2_hmac("sha256", b"", b"", 1_500_000)
        ended = time.monotonic()
    assert interruption.requested
    ((when, text),) = told
    assert when < ended
    assert text.startswith("Interrupted: the update under way, or the compilation")


COMPILING = """
import hashlib, sys
from hvae_core.training.interruption import Interruption

with Interruption(loses_nothing=lambda: sys.argv[1] == "True"):
    print("compiling", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", int(sys.argv[2]))
print("compiled")
"""


@pytest.mark.parametrize(
    ("number", "loses_nothing", "ends"),
    [(signal.SIGTERM, True, True), (signal.SIGTERM, False, False), (signal.SIGINT, True, False)],
)
def test_sigterm_ends_a_compilation_before_which_nothing_was_made(number, loses_nothing, ends):
    work = 10**9 if ends else 6_000_000
    process = subprocess.Popen(
        [sys.executable, "-c", COMPILING, str(loses_nothing), str(work)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "compiling\n"
    process.send_signal(number)
    said, told = process.communicate(timeout=120)
    if ends:
        assert (process.returncode, said) == (130, "")
        assert told.strip() == "Terminated before the first update: nothing is lost, see --resume."
    else:
        assert (process.returncode, said) == (0, "compiled\n")
        assert "Interrupted: the update under way" in told


def test_what_comes_before_the_first_update_is_told_without_a_terminal(make_run):
    stream = io.StringIO()
    beginning = Beginning(Console(file=stream, width=40))
    config = types.SimpleNamespace(data=types.SimpleNamespace(name="cifar10"))
    beginning.reading(config)
    for done in (0, 1, 100_000_000, 170_000_000):
        beginning.downloading(done, 170_000_000)
    beginning.building(
        types.SimpleNamespace(training=range(45_000), validation=range(5_000), notes=[])
    )
    told = []
    model = {"count_params": lambda: 39_000_000, "latent_shapes": [()] * 45}
    beginning.built(types.SimpleNamespace(**model, before_compiling=told.append))
    run = make_run()
    run.config.train.compile = True
    beginning.start(run)
    beginning.update(run, STEP)
    beginning.update(run, STEP)
    lines = stream.getvalue().splitlines()
    assert lines[:4] == [
        "Reading the data set cifar10.", "Downloading: 0 of 170 MB.",
        "Downloading: 100 of 170 MB.", "Downloading: 170 of 170 MB.",
    ]  # fmt: skip
    assert lines[4] == "45,000 images to train on, 5,000 to validate."
    assert lines[5].startswith("Building the model on ")
    assert lines[6] == "39,000,000 parameters, 45 latent layers."
    assert re.match("(Compiling the training step|Making the first update), which takes", lines[7])
    assert re.fullmatch(r"The first updates are made, after \d+\.\d s\.", lines[8])
    assert len(lines) == 9
    # what is compiled later, for the first evaluation, the first grid and the report
    (before_compiling,) = told
    before_compiling(types.SimpleNamespace(purpose="evaluation of images"))
    last = "Compiling the evaluation of images, which takes a while for a deep model."
    assert stream.getvalue().splitlines()[9:] == [last]


def test_of_several_processes_only_the_first_speaks(make_run):
    stream = io.StringIO()
    Beginning(Console(file=stream), quiet=True).downloading(0, None)
    assert stream.getvalue() == ""
