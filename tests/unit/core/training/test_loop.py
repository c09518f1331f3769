"""Whole runs on the digits, a few updates each."""

import hashlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest

pytest.importorskip("sklearn")

import hvae_core as hvae
from hvae_core.config import parse_config
from hvae_core.errors import BadInputError, ConfigError, DataError, PresetError, WeightsError
from hvae_core.runs.best_checkpoint import find_weights
from hvae_core.runs.metrics import MetricsFile
from hvae_core.training import train
from hvae_core.training.callbacks import Callback
from hvae_core.training.loop import default_callbacks
from hvae_core.weights import read_tensors

# 1,437 training images: 1,293 without the validation images, five batches.
PLAIN = {
    "model": {
        "resolutions": [8, 1],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"width": 4, "middle_width": 4, "blocks": 1},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": "digits",
    "train": {
        "batch_size": 256,
        "steps": 8,
        "learning_rate": 1e-2,
        "warmup_steps": 2,
        "log_steps": 3,
        "checkpoint_steps": 4,
        "ema_decay": 0.5,
        "validation_images": 20,
        "sample_epochs": 0,
        "tensorboard": False,
    },
}
#: of the clock, not of the run
TIMES = ("images_per_second", "elapsed")


def config(**options):
    return parse_config({**PLAIN, "train": {**PLAIN["train"], **options}})


def records(folder):
    rows = MetricsFile(folder / "metrics.jsonl").read()
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def assert_equal(left, right):
    """Two records or lists of them, to 1e-5."""
    if isinstance(left, dict):
        assert left.keys() == right.keys()
        for key, value in left.items():
            assert_equal(value, right[key])
    elif isinstance(left, list):
        assert len(left) == len(right)
        for a, b in zip(left, right, strict=True):
            assert_equal(a, b)
    elif isinstance(left, float):
        assert left == pytest.approx(right, rel=1e-5, abs=1e-7)
    else:
        assert left == right


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    output = tmp_path_factory.mktemp("runs") / "unbroken"
    return train(config(), output)


@pytest.mark.every_backend
def test_a_run_leaves_what_it_promises(unbroken):
    output = unbroken.output
    assert unbroken.steps == 8
    names = {path.name for path in output.iterdir()}
    assert {"config.yaml", "metrics.jsonl", "validation.json", "checkpoints", "samples"} <= names
    rows = records(output)
    events = [(row["event"], row["step"]) for row in rows]
    assert events == [("step", 3), ("epoch", 5), ("step", 6), ("epoch", 8)]
    held_out = json.loads((output / "validation.json").read_text())["indices"]
    assert len(held_out) == 144
    last = rows[-1]
    assert last["validation"]["images"] == 20
    assert last["validation"] == unbroken.metrics
    assert last["images"] == 8 * 256
    expected = (last["rate"] + last["distortion"]) / math.log(2.0)
    assert last["bits_per_dim"] == pytest.approx(expected)
    assert sum(last["kl_per_layer"]) / 64 == pytest.approx(last["rate"], rel=1e-4)


def test_a_run_starts_from_given_weights(unbroken, tmp_path):
    start = find_weights(unbroken.output)[1]
    # The first update of a warm-up has the rate 0.
    result = train(config(steps=1, weight_decay=0.0), tmp_path / "run", weights=start)
    checkpoint = result.output / "checkpoints" / "step-00000001"
    for name in ("model", "ema"):
        arrays = read_tensors(checkpoint / f"{name}.safetensors")
        for key, value in read_tensors(start).items():
            np.testing.assert_array_equal(arrays[key], value)
    session = MetricsFile(result.output / "sessions.jsonl").read()[0]
    assert session["weights"] == str(start)
    assert session["weights_sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
    again = train(config(steps=3, weight_decay=0.0), tmp_path / "run", resume=True, weights=start)
    assert again.steps == 3
    assert "weights" not in MetricsFile(result.output / "sessions.jsonl").read()[1]
    # They are not looked at any more, and may be gone.
    gone = tmp_path / "gone.safetensors"
    last = train(config(steps=4, weight_decay=0.0), tmp_path / "run", resume=True, weights=gone)
    assert last.steps == 4
    with pytest.raises(PresetError):
        hvae.train(PLAIN, tmp_path / "new", resume=True, weights="no-such-preset")
    kept = {**PLAIN, "train": {**PLAIN["train"], "steps": 4, "weight_decay": 0.0}}
    assert hvae.train(kept, result.output, resume=True, weights="no-such-preset").steps == 4


def test_weights_of_another_model_start_nothing(unbroken, tmp_path):
    start = find_weights(unbroken.output)[1]
    other = {**PLAIN, "model": {**PLAIN["model"], "width": 8}}
    with pytest.raises(WeightsError, match="does not fit the model"):
        train(parse_config(other), tmp_path / "run", weights=start)
    assert not (tmp_path / "run").exists()


@pytest.mark.every_backend
def test_validation_is_of_the_averaged_weights_that_are_saved(unbroken):
    from hvae_core.evaluation import evaluate_batches
    from hvae_core.training.feeding import open_images
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights import load_weights

    found, weights = find_weights(unbroken.output)
    assert weights.name == "ema.safetensors"
    model = HierarchicalVAE(found)
    load_weights(model, weights)
    batches = open_images(found).validation_batches(found)
    figures = evaluate_batches(model, batches(), found.train.seed)
    best = max(row["validation"]["elbo"] for row in records(unbroken.output) if "validation" in row)
    assert figures["elbo"] == pytest.approx(best, rel=1e-5)


SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from hvae_core.config import parse_config
from hvae_core.training import train
from hvae_core.training.loop import default_callbacks
from hvae_core.training.callbacks import Callback

class Kill(Callback):
    def update(self, run, figures):
        if run.step >= int(sys.argv[3]):
            os.kill(os.getpid(), getattr(signal, sys.argv[4]))

train(parse_config(json.loads(sys.argv[1])), Path(sys.argv[2]), callbacks=[Kill()])
"""


def run_and_kill(output, step, name):
    arguments = [json.dumps(PLAIN), str(output), str(step), name]
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, *arguments], capture_output=True, text=True, timeout=600
    )


@pytest.mark.every_backend
def test_a_killed_run_resumes_to_the_numbers_of_an_unbroken_one(unbroken, tmp_path):
    output = tmp_path / "killed"
    done = run_and_kill(output, 5, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stderr
    # Update 4 lies within an epoch and between two logged updates.
    assert [path.name for path in (output / "checkpoints").iterdir()] == ["step-00000004"]
    again = train(config(), output, resume=True)
    assert again.steps == 8
    assert_equal(records(output), records(unbroken.output))


def test_an_interrupted_run_keeps_its_last_update(unbroken, tmp_path):
    output = tmp_path / "interrupted"

    class Interrupt(Callback):
        def __init__(self):
            self.done = False

        def update(self, run, figures):
            if not self.done and run.step >= 6:
                self.done = True
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(KeyboardInterrupt):
        train(config(), output, callbacks=[Interrupt()])
    newest = max(int(p.name[5:]) for p in (output / "checkpoints").glob("step-*"))
    assert newest >= 6
    train(config(), output, resume=True)
    assert_equal(records(output), records(unbroken.output))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"steps": None}, ConfigError, r"train\.epochs is not given"),
        ({"batch_size": 2000}, DataError, r"train\.batch_size is 2000"),
        ({"patience": 1, "validation_fraction": 0}, ConfigError, r"train\.patience"),
    ],
)
def test_bad_input_leaves_nothing_behind(tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        train(config(**options), tmp_path / "run")
    assert not (tmp_path / "run").exists()


#: what the first process does alone before the first update
ALONE = [
    "hvae_core.training.loop.tracking",
    "hvae_core.runs.run_folder.RunFolder.lock",
    "hvae_core.runs.run_folder.RunFolder.create",
    "hvae_core.runs.clock.replace_file",
    "hvae_core.runs.metrics.MetricsFile.truncate",
    "hvae_core.runs.checkpoints.Checkpoints.set_aside_newer",
    "hvae_core.training.loop.describe_session",
    "hvae_core.training.loop.MetricsFile.append",
]


@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    """A run of no time, with a checkpoint and a file of its times."""
    output = tmp_path_factory.mktemp("runs") / "timed"
    train(config(steps=None, minutes=1e-9, validation_fraction=0), output)
    return output


@pytest.mark.parametrize("name", ALONE)
def test_what_fails_in_the_first_process_alone_is_told_to_the_others(
    timed, tmp_path, monkeypatch, name
):
    """Else they wait for it in a computation of all, until the backend gives up."""
    told = []

    def fail(*arguments, **options):
        raise BadInputError("no room")

    def collective(failed):
        told.append(failed)
        return failed

    output = tmp_path / "run"
    shutil.copytree(timed, output)
    monkeypatch.setattr(name, fail)
    monkeypatch.setattr("hvae_core.backends.processes.any_process", collective)
    with pytest.raises(BadInputError, match="no room"):
        train(config(steps=None, minutes=1e-9, validation_fraction=0), output, resume=True)
    assert told[-1]


def test_sample_grids_are_drawn_every_so_many_epochs_and_at_the_end(tmp_path, monkeypatch):
    output, flushed, fsync = tmp_path / "run", set(), os.fsync

    def note(number):
        flushed.add(os.fstat(number).st_ino)
        fsync(number)

    monkeypatch.setattr(os, "fsync", note)
    train(config(steps=20, sample_epochs=3), output)
    sampled = sorted(path.stem for path in (output / "samples").iterdir())
    assert sampled == ["step-00000015", "step-00000020"]  # the third epoch, and the last
    # a run that goes on after a power cut does not draw them again
    assert {path.stat().st_ino for path in (output / "samples").iterdir()} <= flushed


class Hear(Callback):
    """Keeps what the user is told."""

    def __init__(self):
        self.notes = []

    def note(self, run, text):
        self.notes.append(text)


def test_the_report_is_written_at_the_end_and_its_failure_harms_nothing(
    unbroken, tmp_path, monkeypatch
):
    assert not (unbroken.output / "report.html").exists()  # the facade's to write
    short = config(steps=1, validation_fraction=0)
    result = hvae.train(short, tmp_path / "run")
    assert (result.output / "report.html").is_file()

    def fail(*arguments, **options):
        raise ZeroDivisionError("no")

    monkeypatch.setattr("hvae_core.report.at_end.write_report", fail)
    hear = Hear()
    again = hvae.train(short, tmp_path / "failing", callbacks=[hear])
    assert again.steps == 1
    assert not (again.output / "report.html").exists()
    assert hear.notes == [
        f"The report was not written: no. Try: hvae report {tmp_path / 'failing'}"
    ]


def test_the_report_may_be_left_out(tmp_path):
    result = hvae.train(config(steps=1, validation_fraction=0, report=False), tmp_path / "run")
    assert result.steps == 1
    assert not (result.output / "report.html").exists()
    assert not (result.output / "plots").exists()


def test_the_default_callbacks_follow_the_options():
    def names(**options):
        return [
            getattr(callback, "name", type(callback).__name__)
            for callback in default_callbacks(config(**options))
        ]

    assert names() == ["ProgressDisplay"]
    assert names(sample_epochs=2) == ["ProgressDisplay", "SampleGrids"]
    pytest.importorskip("tensorboardX")
    assert names(tensorboard=True) == ["ProgressDisplay", "tensorboard"]
    assert names(trackers=["tensorboard"]) == ["ProgressDisplay", "tensorboard"]
    assert names(trackers=["tensorboard"], tensorboard=True) == ["ProgressDisplay", "tensorboard"]


def test_a_run_that_goes_on_past_damage_or_elsewhere_says_so(unbroken, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(unbroken.output, output)
    sessions = output / "sessions.jsonl"
    sessions.write_text(sessions.read_text().replace(keras.config.backend(), "theano"))
    newest = output / "checkpoints" / "step-00000008"
    (newest / "optimizer.safetensors").write_bytes(b"")
    hear = Hear()
    train(config(), output, resume=True, callbacks=[hear])
    assert hear.notes[0].startswith(f"{newest / 'optimizer.safetensors'} is damaged")
    assert hear.notes[1] == "Going on from step 5."
    assert f"The run goes on with backend {keras.config.backend()}" in hear.notes[2]
    assert_equal(records(output), records(unbroken.output))
    for name in ("model.safetensors", "optimizer.safetensors"):
        again = read_tensors(newest / name)
        for key, value in read_tensors(unbroken.output / newest.relative_to(output) / name).items():
            np.testing.assert_array_equal(again[key], value)


def test_the_updates_of_the_first_two_epochs_are_not_skipped(tmp_path):
    """Five updates an epoch: the threshold, which is below all norms, acts from the eleventh on."""
    result = train(config(steps=15, skip_norm=1e-9, log_steps=5), tmp_path / "run")
    skipped = [row["skipped"] for row in records(result.output) if row["event"] == "step"]
    assert skipped == [0, 0, 5]
