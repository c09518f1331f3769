"""The loop of a run, on a model and a step of NumPy that stand in for the real ones."""

import contextlib
import json
import os
import re
import shlex
import shutil
import types

import numpy as np
import pytest

from hvae_core.cli.train import command as train_command
from hvae_core.config import Component, load_config, parse_config
from hvae_core.data import ArraySource
from hvae_core.errors import ConfigError, TrainingError
from hvae_core.interfaces import UINT8, Dataset, DatasetInfo
from hvae_core.prob.noise import draw
from hvae_core.runs.best_checkpoint import find_weights, how_far
from hvae_core.runs.checkpoints import Checkpoints
from hvae_core.runs.metrics import MetricsFile
from hvae_core.runs.run_folder import RunFolder
from hvae_core.training.callbacks import Callback
from hvae_core.training.feeding import Images
from hvae_core.training.interruption import InterruptedRun, Interruption
from hvae_core.training.run import TrainingRun
from hvae_core.zoo.finding import find_configuration, find_weights_file

TRAIN = {
    "batch_size": 4, "steps": 20, "warmup_steps": 2, "log_steps": 3, "checkpoint_steps": 4,
    "ema_decay": 0.5, "learning_rate": 0.1,
}  # fmt: skip
#: of the clock, not of the run
TIMES = ("images_per_second", "elapsed")


class Pixels(Dataset):
    info = DatasetInfo("pixels", "made here", "1", "CC0-1.0")
    splits = ("train",)
    shape = (2, 2, 1)

    def load(self, split):
        return ArraySource(np.arange(104, dtype=np.uint8).reshape(26, 2, 2, 1))

    def transform(self, images, rng, training):
        return images + rng.integers(0, 9, images.shape, np.uint8) if training else images


class Model:
    """An engine whose log-likelihood is minus the distance of the weight from 1."""

    image_shape, latent_shapes = (2, 2, 1), [(1, 1, 1)]
    image_values = UINT8
    likelihood = types.SimpleNamespace(unit="nats")
    draw = staticmethod(draw)

    def __init__(self):
        self.weight = np.zeros(())

    def run(self, program, inputs):
        rows = len(inputs["images"])
        return {
            "log_likelihood": np.full(rows, -abs(self.weight - 1.0), np.float32),
            "kl_per_layer": np.zeros((rows, 1), np.float32),
            "posterior_mean": [inputs["noise"][0]],
        }


class Step:
    """Moves the weight by rate times the images' mean, and averages it."""

    def __init__(self, model):
        self.model, self.average, self.moment = model, np.zeros(()), np.zeros(())

    def __call__(self, batch, *, step, learning_rate, beta):
        self.moment = 0.9 * self.moment + batch.images.mean() / 255
        self.model.weight = self.model.weight + learning_rate * self.moment
        self.average = 0.5 * (self.average + self.model.weight)
        bound = abs(self.model.weight - 1.0)
        return {
            "loss": bound, "distortion": bound, "rate": 0.0, "gradient_norm": self.moment,
            "skipped": 0.0, "nonfinite": float(not np.isfinite(bound)), "kl_per_layer": np.zeros(1),
        }  # fmt: skip

    def read(self, figures):
        return {k: v if np.ndim(v) else float(v) for k, v in figures.items()}

    def validate(self, batches, seed):
        return {}

    def weights(self):
        return {"weight": np.float64(self.model.weight)[None]}

    def state(self):
        return {"optimizer.0": self.moment[None], "ema.weight": self.average[None]}

    def load(self, weights, state, source):
        self.model.weight = weights["weight"][0]
        self.moment, self.average = state["optimizer.0"][0], state["ema.weight"][0]

    @contextlib.contextmanager
    def ema_weights(self):
        kept, self.model.weight = self.model.weight, self.average
        yield
        self.model.weight = kept


class Hear(Callback):
    """Keeps what the user is told."""

    def __init__(self):
        self.notes = []

    def note(self, run, text):
        self.notes.append(text)


class Raise(Callback):
    """Ends the run as a kill would: at an update, in the middle of everything."""

    def __init__(self, step):
        self.at = step

    def update(self, run, figures):
        if run.step >= self.at:  # figures are read up to two updates late
            raise MemoryError


def make(folder, callbacks=(), **options):
    """A run of 26 images: 21 trained on, five updates an epoch, 5 held out."""
    config = parse_config({"data": "digits", "train": {**TRAIN, **options}})
    dataset, rows = Pixels(), np.arange(26)
    held_out = rows[21:] if config.train.validation_fraction else rows[:0]
    images = Images(dataset, dataset.load("train"), rows[:21], held_out)
    run_folder = RunFolder(folder)
    run_folder.create(config, held_out)
    model = Model()
    return TrainingRun(config, images, run_folder, list(callbacks), model, Step(model))


def go_on(run):
    run.resume()
    return run.fit(Interruption())


def records(folder):
    rows = MetricsFile(folder / "metrics.jsonl").read()
    return [{key: value for key, value in row.items() if key not in TIMES} for row in rows]


def state_of(folder):
    newest = max((folder / "checkpoints").glob("step-*"))
    state = json.loads((newest / "state.json").read_text())
    return newest.name, {key: value for key, value in state.items() if key not in TIMES}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbroken")
    return folder, go_on(make(folder))


def test_epochs_and_logged_updates_are_recorded_in_order(unbroken):
    folder, result = unbroken
    events = [(row["event"], row["step"]) for row in records(folder)]
    assert events == [
        ("step", 3), ("epoch", 5), ("step", 6), ("step", 9), ("epoch", 10), ("step", 12),
        ("step", 15), ("epoch", 15), ("step", 18), ("epoch", 20),
    ]  # fmt: skip
    assert (result.steps, result.stopped_early) == (20, False)
    assert how_far(folder)["images_seen"] in (20, 40, 60, 80)


@pytest.mark.parametrize("killed", range(1, 19))
def test_a_run_killed_at_any_update_resumes_to_the_same_records_and_state(
    killed, unbroken, tmp_path
):
    with pytest.raises(MemoryError):
        go_on(make(tmp_path, [Raise(killed)]))
    result = go_on(make(tmp_path))
    assert result.metrics == unbroken[1].metrics
    assert records(tmp_path) == records(unbroken[0])
    assert state_of(tmp_path) == state_of(unbroken[0])


@pytest.mark.parametrize("minutes", [None, 0.5])
def test_what_a_checkpoint_counts_on_is_on_the_disk_before_it(tmp_path, monkeypatch, minutes):
    """After a power cut the run goes on from there, and writes none of it again."""
    flushed, there = {}, []
    fsync, save = os.fsync, Checkpoints.save

    def note(number):
        found = os.fstat(number)
        flushed[found.st_ino] = found.st_size
        fsync(number)

    def look(checkpoints, *arguments):
        for name in ("metrics.jsonl", "clock.txt"):
            if (tmp_path / name).exists():
                found = (tmp_path / name).stat()
                there.append((name, flushed.get(found.st_ino) == found.st_size))
        return save(checkpoints, *arguments)

    monkeypatch.setattr(os, "fsync", note)
    monkeypatch.setattr(Checkpoints, "save", look)
    if minutes is None:
        go_on(make(tmp_path))
    else:
        go_on(make_timed(tmp_path, monkeypatch, minutes=minutes))
    assert {name for name, _ in there} >= {"metrics.jsonl", *(["clock.txt"] if minutes else [])}
    assert all(on_disk for _, on_disk in there)


class Ticking(Step):
    """Takes three seconds an update, on the hand of a clock."""

    seconds = 0.0

    def __call__(self, batch, **options):
        Ticking.seconds += 3.0
        return super().__call__(batch, **options)


def make_timed(folder, monkeypatch, callbacks=(), **options):
    monkeypatch.setitem(globals(), "Step", Ticking)
    given = {"steps": None, "minutes": 0.5, "final_learning_rate": 0.01, "keep_checkpoints": 9}
    run = make(folder, callbacks, **{**given, **options})
    run._time._now = lambda: Ticking.seconds
    return run


def test_a_run_of_so_many_minutes_ends_in_time_and_its_schedule_with_it(tmp_path, monkeypatch):
    seen = []

    class See(Callback):
        def update(self, run, figures):
            seen.append((run.total_steps, run.seconds_left + 3.0 * run.step))

    result = go_on(make_timed(tmp_path, monkeypatch, [See()], schedule="linear"))
    assert result.steps == 10  # of three seconds each
    assert set(seen) == {(10, 30.0)}
    rows = [row for row in records(tmp_path) if row["event"] == "step"]
    # 0.1 at the end of the warm-up, after 6 of 30 seconds, and 0.01 after 30
    expected = [0.1 - 0.09 * (3 * (row["step"] - 1) - 6) / 24 for row in rows]
    np.testing.assert_allclose([row["learning_rate"] for row in rows], expected)
    assert (tmp_path / "clock.txt").read_text().split()[-1] == "30.0"
    again = go_on(make_timed(tmp_path, monkeypatch, schedule="linear"))
    assert again.steps == 10
    more = go_on(make_timed(tmp_path, monkeypatch, schedule="linear", minutes=1.0))
    assert more.steps == 20


def test_a_callback_asks_nothing_of_the_other_processes(tmp_path, monkeypatch):
    """Of several processes one alone may have it, such as a progress bar."""
    asked, told = [], []

    class See(Callback):
        def start(self, run):
            self.look(run)

        def update(self, run, figures):
            self.look(run)

        def look(self, run):
            before = len(asked)
            run.total_steps, run.learning_rate(run.step)
            told.append(len(asked) - before)

    def collective(value):
        asked.append(value)
        return [value]

    monkeypatch.setattr("hvae_core.runs.clock.in_each_process", collective)
    go_on(make_timed(tmp_path, monkeypatch, [See()]))
    assert len(asked) == 11
    assert set(told) == {0}


def test_its_updates_are_made_again_at_the_times_that_they_had(tmp_path, monkeypatch):
    go_on(make_timed(tmp_path, monkeypatch))
    before, end = records(tmp_path), state_of(tmp_path)
    for newer in (tmp_path / "checkpoints").glob("step-*"):
        if newer.name != "step-00000004":
            shutil.rmtree(newer)
    (tmp_path / "metrics.jsonl").write_text(
        "".join((tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)[:1])
    )
    monkeypatch.setattr(Ticking, "seconds", 1e6)
    go_on(make_timed(tmp_path, monkeypatch))
    assert records(tmp_path) == before
    assert state_of(tmp_path) == end


def test_the_speed_after_a_resumption_is_that_of_its_own_updates(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "Step", Ticking)
    times = types.SimpleNamespace(monotonic=lambda: Ticking.seconds)
    monkeypatch.setattr("hvae_core.training.run.time", times)
    options = {"log_steps": 10, "checkpoint_steps": 9, "evaluate_epochs": 9}
    with pytest.raises(MemoryError):
        go_on(make(tmp_path, [Raise(12)], **options))
    go_on(make(tmp_path, **options))
    rows = MetricsFile(tmp_path / "metrics.jsonl").read()
    speeds = [row["images_per_second"] for row in rows if row["event"] == "step"]
    assert speeds == pytest.approx([4 / 3.0, 4 / 3.0])


def test_an_interruption_is_met_between_two_updates_and_kept(unbroken, tmp_path):
    class Ask(Callback):
        def update(self, run, figures):
            interruption.requested = run.step >= 7

    interruption = Interruption()
    with pytest.raises(
        InterruptedRun, match=rf"in {tmp_path}, at step \d+\. Go on with: hvae"
    ) as to:
        make(tmp_path, [Ask()]).fit(interruption)
    assert str(to.value).endswith(f"hvae train {tmp_path} --resume")
    assert state_of(tmp_path)[1]["step"] >= 7
    go_on(make(tmp_path))
    assert records(tmp_path) == records(unbroken[0])


class Spoil(Callback):
    """Changes something of the step after a checkpoint."""

    def __init__(self, step, change):
        self.at, self.change = step, change

    def checkpoint(self, run, folder):
        if run.step == self.at:
            self.change(run.train_step)


def poison(step):
    step.model.weight = np.asarray(np.nan)


def test_training_stops_after_so_many_nonfinite_updates(tmp_path):
    run = make(tmp_path, [Spoil(4, poison)], max_nonfinite_steps=3)
    with pytest.raises(TrainingError, match=r"3 updates in a row.*checkpoint of step [45] is kept"):
        go_on(run)
    assert find_weights(tmp_path)[1].parent.name in ("step-00000004", "step-00000005")


class Poison(Callback):
    def start(self, run):
        poison(run.train_step)


def test_a_run_that_diverged_is_told_a_way_out_that_there_is(tmp_path):
    """A new run: what it names decides the updates, so that a resumed run cannot change it."""
    folder = tmp_path / "a run"
    with pytest.raises(TrainingError, match="updates in a row") as told:
        go_on(make(folder, [Spoil(4, poison)], max_nonfinite_steps=3))
    advice, command = told.value.hint.split(": hvae train ")
    for option in re.findall(r"train\.\w+", advice):
        other = parse_config(RunFolder(folder).read_config().to_dict(), [f"{option}=0.03"])
        with pytest.raises(ConfigError, match=option):
            RunFolder(folder).check_resumed(other)
    given = train_command.make_context("train", shlex.split(command)).params
    assert not given["resume"]
    assert given["output"] not in (None, folder)
    assert find_weights_file(given["weights"]).is_file()
    config = load_config(find_configuration(given["source"]), given["overrides"])
    assert config.train.learning_rate == 0.05
    with pytest.raises(TrainingError, match="nothing was kept") as told:
        go_on(make(tmp_path / "b", [Poison()], max_nonfinite_steps=3, checkpoint_steps=99))
    assert told.value.hint.endswith("or with train.clip_norm.")


def test_a_run_of_images_given_in_python_that_diverged_is_told_to_begin_in_python(tmp_path):
    run = make(tmp_path)
    run.config = run.config.model_copy(update={"data": Component("data", "python", None)})
    said = run._from_here(True)
    assert f": hvae.train({str(tmp_path)!r}, ANOTHER, dataset=..., weights=" in said


class SkippingStep(Step):
    """Skips the updates from ``first`` to before ``last``."""

    first, last = 0, 10**9

    def __call__(self, batch, *, step, learning_rate, beta):
        figures = super().__call__(batch, step=step, learning_rate=learning_rate, beta=beta)
        return {**figures, "skipped": float(self.first <= step < self.last)}


def test_training_stops_after_so_many_skipped_updates_and_is_kept(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "Step", SkippingStep)
    hear = Hear()
    run = make(tmp_path, [hear], max_skipped_steps=6)
    with pytest.raises(
        TrainingError, match=r"last 6 updates in a row were skipped.*skip_norm"
    ) as e:
        go_on(run)
    assert e.value.exit_code == 1
    assert f"the run is kept in {tmp_path}, at step" in str(e.value)
    assert find_weights(tmp_path)[1].is_file()
    (warning,) = hear.notes
    assert warning.startswith("Warning: the last 3 updates were skipped")
    again = make(tmp_path, max_skipped_steps=6)
    with pytest.raises(TrainingError, match="updates in a row were skipped"):
        go_on(again)


@pytest.mark.parametrize(("last", "notes"), [(2, 0), (5, 1)])
def test_some_skipped_updates_stop_nothing(tmp_path, monkeypatch, last, notes):
    monkeypatch.setattr(SkippingStep, "last", last)
    monkeypatch.setitem(globals(), "Step", SkippingStep)
    hear = Hear()
    result = go_on(make(tmp_path, [hear], max_skipped_steps=6))
    assert result.steps == 20
    assert len(hear.notes) == notes


def test_a_run_without_a_single_update_fails(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "Step", SkippingStep)
    with pytest.raises(TrainingError, match="last 8 updates in a row were skipped"):
        go_on(make(tmp_path, steps=8))
    assert state_of(tmp_path)[0] == "step-00000008"


def test_early_stopping_goes_by_the_validation_bound(tmp_path):
    def worsen(step):
        step.average = np.asarray(-1e12)

    options = {"steps": 60, "patience": 2, "checkpoint_steps": 1000}
    result = go_on(make(tmp_path, [Spoil(5, worsen)], **options))
    # best after the first epoch of five updates, then two epochs that are not better
    assert (result.steps, result.stopped_early) == (15, True)
    assert find_weights(tmp_path)[1].parent.name == "step-00000005"
    again = go_on(make(tmp_path, **options))
    assert (again.steps, again.stopped_early) == (15, True)


def test_no_best_is_chosen_while_beta_rises(tmp_path):
    go_on(make(tmp_path, steps=10, beta_warmup=100))
    assert state_of(tmp_path)[1]["best_step"] is None


def test_a_second_encoder_s_best_is_chosen_whatever_beta_is(tmp_path):
    """Its objective has no part that beta weighs."""
    run = make(tmp_path, steps=10, beta_warmup=100)
    train = run.config.train.model_copy(update={"objective": "partial-posterior"})
    run.config = run.config.model_copy(update={"train": train})
    go_on(run)
    assert state_of(tmp_path)[1]["best_step"] is not None


def test_intervals_of_checkpoints_and_validation(tmp_path):
    saved = []

    class Count(Callback):
        def checkpoint(self, run, folder):
            saved.append(run.step)

    options = {"checkpoint_steps": 1000, "checkpoint_minutes": 1e-9, "evaluate_epochs": 2}
    go_on(make(tmp_path, [Count()], keep_checkpoints=2, **options))
    assert saved == list(range(1, 21))  # every update takes longer than the minutes given
    epochs = [row for row in records(tmp_path) if row["event"] == "epoch"]
    assert [bool(row.get("validation")) for row in epochs] == [False, True, False, True]
    kept = {int(path.name[5:]) for path in (tmp_path / "checkpoints").iterdir()}
    assert {19, 20} <= kept <= {10, 19, 20}  # the newest two and the best


def test_without_validation_the_newest_weights_count_and_more_updates_may_follow(tmp_path):
    options = {"validation_fraction": 0.0}
    assert go_on(make(tmp_path, steps=2, **options)).metrics == {}
    assert find_weights(tmp_path)[1].parent.name == "step-00000002"
    assert go_on(make(tmp_path, steps=3, **options)).steps == 3


def test_callbacks_are_called_in_the_order_of_a_run(tmp_path):
    heard = []

    class Hear(Callback):
        def __getattribute__(self, name):
            if name in ("start", "record", "evaluated", "checkpoint", "finished", "close"):
                return lambda run, *rest: heard.append((name, run.step))
            return super().__getattribute__(name)

    go_on(make(tmp_path, [Hear()], steps=5, log_steps=5))
    assert heard == [
        ("start", 0), ("checkpoint", 4), ("record", 5), ("record", 5), ("evaluated", 5),
        ("checkpoint", 5), ("finished", 5), ("close", 5),
    ]  # fmt: skip
