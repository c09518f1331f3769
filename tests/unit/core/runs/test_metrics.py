import json
import math

import numpy as np
import pytest

from hvae_core.errors import TrainingError
from hvae_core.files.json_files import plain
from hvae_core.runs.metrics import MetricsFile, RunningMeans, in_unit
from hvae_core.runs.state import TrainState


def figures(loss, nonfinite=0.0, skipped=0.0):
    kl = np.array([loss, 2 * loss], np.float32)
    return {"loss": loss, "kl_per_layer": kl, "nonfinite": nonfinite, "skipped": skipped}


def test_means_leave_out_what_is_not_finite_and_count_it():
    means = RunningMeans()
    for row in (figures(1.0), figures(math.nan, 1.0, 1.0), figures(3.0, 0.0, 1.0)):
        means.add(row)
    expected = {"loss": 2.0, "kl_per_layer": [2.0, 4.0], "skipped": 2, "nonfinite": 1}
    assert means.means() == expected
    assert means.steps == 3


def test_means_start_anew_after_a_reset():
    means = RunningMeans()
    means.add(figures(5.0, skipped=1.0))
    means.reset()
    means.add(figures(1.0))
    assert means.means() == {"loss": 1.0, "kl_per_layer": [1.0, 2.0], "skipped": 0, "nonfinite": 0}


def test_means_go_on_from_their_saved_state_to_the_same_numbers():
    whole, half = RunningMeans(), RunningMeans()
    values = np.random.default_rng(0).normal(size=10)
    for value in values[:5]:
        whole.add(figures(value))
        half.add(figures(value))
    resumed = RunningMeans()
    resumed.load_state(json.loads(json.dumps(half.state())))
    for value in values[5:]:
        whole.add(figures(value))
        resumed.add(figures(value))
    assert resumed.means() == whole.means()


def test_units():
    assert in_unit(math.log(2.0), "bits/dim", 64) == pytest.approx(1.0)
    assert in_unit(0.5, "nats", 64) == 32.0


def test_plain_values_are_json():
    value = {"a": np.float32(1.5), "b": np.array([1, 2]), "c": math.nan, "d": [np.int64(3)]}
    assert plain(value) == {"a": 1.5, "b": [1, 2], "c": None, "d": [3]}


def test_truncating_drops_later_and_broken_lines(tmp_path):
    file = MetricsFile(tmp_path / "metrics.jsonl")
    for step in (1, 2, 3):
        file.append({"event": "step", "step": step})
    with file.path.open("a") as opened:
        opened.write('{"event": "st')
    file.truncate(2)
    assert [record["step"] for record in file.read()] == [1, 2]
    file.append({"event": "step", "step": 3})
    assert len(file.path.read_text().splitlines()) == 3


def test_lines_that_are_no_records_are_passed_over(tmp_path):
    file = MetricsFile(tmp_path / "metrics.jsonl")
    lines = [b"[]", b"7", b'{"step": "1"}', b'{"step": null}', b"\xff\xfe", b"[" * 9999, b"{}"]
    file.path.write_bytes(b"\n".join([*lines, b'{"step": 1}', b'{"st']))
    file.append({"step": 2})
    assert [record["step"] for record in file.read()] == [1, 2]
    file.truncate(1)
    assert file.path.read_text() == '{"step": 1}\n'


def test_a_metrics_file_that_cannot_be_written_is_one_sentence(tmp_path):
    with pytest.raises(TrainingError, match=r"Cannot write .*metrics\.jsonl"):
        MetricsFile(tmp_path / "gone" / "metrics.jsonl").append({"step": 1})


def test_the_state_of_a_run_survives_json():
    state = TrainState(step=7, best_step=5, best_elbo=-3.25, images=70)
    state.add(figures(math.nan, 1.0, 1.0))
    state.add(figures(2.0))
    # an older version kept the last key too
    values = json.loads(json.dumps({**state.to_dict(), "reported_step": 5}))
    again = TrainState.from_dict(values)
    assert again.to_dict() == state.to_dict()
    assert (again.skipped, again.nonfinite, again.nonfinite_in_a_row) == (1, 1, 0)


def test_only_a_better_finite_bound_is_the_best():
    state = TrainState(step=1)
    assert state.offer(-10.0, 1)
    state.step = 2
    assert not state.offer(-11.0, 1)
    assert not state.offer(math.nan, 2)
    assert (state.best_step, state.stale_epochs) == (1, 3)
    assert state.offer(-9.0, 1)
    assert (state.best_step, state.stale_epochs) == (2, 0)
