import errno
import os

import numpy as np
import pytest

from hvae_core.errors import TrainingError, WeightsError
from hvae_core.runs import checkpoints as module
from hvae_core.runs.checkpoints import Checkpoint, Checkpoints


def make(step, averaged=True):
    weights = {"a.kernel": np.full((2, 3), step, np.float32), "count": np.array(step, np.int32)}
    training = {"optimizer.0": np.array(step, np.int64), "optimizer.1": np.ones(3, np.float32)}
    if averaged:
        training["ema.a.kernel"] = np.full((2, 3), step + 0.5, np.float32)
    return Checkpoint(weights, training, {"step": step, "note": 0.1})


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
    (tmp_path / ".step-00000009.1.tmp").mkdir()
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


def test_a_damaged_checkpoint_is_named(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    folder = checkpoints.save(1, make(1))
    (folder / "state.json").write_text("{")
    with pytest.raises(WeightsError, match=r"state\.json is missing or damaged"):
        checkpoints.load(1)
