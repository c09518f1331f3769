import errno
import hashlib
import json
import os

import numpy as np
import pytest

from hvae_core.errors import TrainingError, WeightsError
from hvae_core.runs import checkpoints as module
from hvae_core.runs.checkpoints import Checkpoint, Checkpoints
from hvae_core.runs.state import TrainState


def make(step, averaged=True):
    weights = {"a.kernel": np.full((2, 3), step, np.float32), "count": np.array(step, np.int32)}
    training = {"optimizer.0": np.array(step, np.int64), "optimizer.1": np.ones(3, np.float32)}
    if averaged:
        training["ema.a.kernel"] = np.full((2, 3), step + 0.5, np.float32)
    return Checkpoint(weights, training, {**TrainState(step=step).to_dict(), "note": 0.1})


@pytest.mark.parametrize("averaged", [True, False])
def test_a_checkpoint_comes_back_whole(tmp_path, averaged):
    checkpoints = Checkpoints(tmp_path)
    saved = make(3, averaged)
    checkpoints.save(3, saved)
    loaded = checkpoints.load(3)
    for before, after in ((saved.weights, loaded.weights), (saved.training, loaded.training)):
        assert set(before) == set(after)
        for name, array in before.items():
            assert after[name].dtype == array.dtype
            np.testing.assert_array_equal(after[name], array)
    assert loaded.state["note"] == 0.1


def test_the_averaged_weights_are_a_whole_weights_file(tmp_path):
    Checkpoints(tmp_path).save(3, make(3))
    arrays = module.read_tensors(tmp_path / "step-00000003" / module.EMA_FILE)
    assert arrays["a.kernel"][0, 0] == 3.5
    assert arrays["count"] == 3


def test_the_newest_and_the_best_are_kept(tmp_path):
    checkpoints = Checkpoints(tmp_path, keep=2)
    for step in range(1, 7):
        checkpoints.save(step, make(step), best=2 if step >= 2 else None)
    assert checkpoints.steps() == [2, 5, 6]


def test_leftovers_of_a_crash_are_no_checkpoints_and_go(tmp_path):
    (tmp_path / ".step-00000009.00c0ffee.tmp").mkdir()
    (tmp_path / "step-00000008").mkdir()
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make(1))
    assert checkpoints.steps() == [1]
    assert not list(tmp_path.glob(".step*"))


@pytest.mark.parametrize("fails", ["write", "rename"])
def test_a_full_disk_keeps_the_older_checkpoint(tmp_path, monkeypatch, fails):
    checkpoints = Checkpoints(tmp_path, keep=1)
    checkpoints.save(1, make(1))
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    replace = os.replace

    def failing(source, target):
        name = os.path.basename(str(target))
        if name == ("optimizer.safetensors" if fails == "write" else "step-00000002"):
            raise full
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(TrainingError, match=r"step 2 cannot be written .* is of step 1"):
        checkpoints.save(2, make(2))
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001"]
    assert checkpoints.load(1).weights["a.kernel"][0, 0] == 1


FILES = ("model.safetensors", "ema.safetensors", "optimizer.safetensors", "state.json")


@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_checkpoint_is_passed_over_and_told(tmp_path, name, damage):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, make(1))
    file = checkpoints.save(2, make(2)) / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(content if damage == "flipped" else content[: len(content) // 2])
    step, checkpoint, problems = checkpoints.load_newest()
    if damage == "gone" and name in ("state.json", "SHA256SUMS"):
        # without a state it is no checkpoint; without checksums one of an older version
        assert (step, problems) == (1 if name == "state.json" else 2, [])
        return
    assert (step, checkpoint.state["step"]) == (1, 1)
    assert len(problems) == 1
    assert str(file.parent) in problems[0]
    checkpoints.set_aside_newer(1)
    assert checkpoints.steps() == [1]
    assert (tmp_path / "damaged-step-00000002").is_dir()
    (checkpoints.path(1) / "state.json").write_text("{")
    with pytest.raises(WeightsError, match=r"No checkpoint in .* is intact\. .*state\.json"):
        checkpoints.load_newest()


@pytest.mark.parametrize(
    "change",
    [
        {"step": "1"}, {"step": 2}, {"images": -1}, {"elapsed": True}, {"best_elbo": []},
        {"window": 3}, {"epoch": {"steps": 1}}, {"averaged": 7}, {"validation": 0},
        {"window": {"steps": 0, "skipped": 0, "nonfinite": 0, "averaged": 0, "sums": {"a": "b"}}},
    ],
)  # fmt: skip
def test_the_state_of_an_older_version_is_checked_by_what_it_holds(tmp_path, change):
    checkpoints = Checkpoints(tmp_path)
    folder = checkpoints.save(1, make(1))
    (folder / "SHA256SUMS").unlink()
    assert checkpoints.load(1).state["step"] == 1
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, **change}))
    with pytest.raises(WeightsError, match=r"state\.json"):
        checkpoints.load(1)


def test_a_file_of_the_users_own_beside_it_is_no_damage(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    (checkpoints.save(1, make(1)) / "preset.yaml").write_text("mine")
    assert checkpoints.load_newest()[0] == 1


def test_the_checksums_are_those_of_sha256sum(tmp_path):
    folder = Checkpoints(tmp_path).save(1, make(1))
    lines = [f"{hashlib.sha256((folder / n).read_bytes()).hexdigest()}  {n}\n" for n in FILES]
    written = (folder / "SHA256SUMS").read_text().splitlines(keepends=True)
    assert sorted(written) == sorted(lines)
