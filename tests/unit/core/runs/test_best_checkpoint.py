import numpy as np
import pytest

from hvae_core.config import parse_config
from hvae_core.errors import BadInputError
from hvae_core.runs.best_checkpoint import find_weights, how_far
from hvae_core.runs.checkpoints import Checkpoint
from hvae_core.runs.run_folder import RunFolder


def config(**train):
    return parse_config({"data": "digits", "train": {"epochs": 2, **train}})


@pytest.fixture
def started(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(config(), np.array([1, 5]))
    return folder


def save(folder, step, best=None, averaged=True):
    weights = {"w": np.zeros(1, np.float32)}
    training = {"ema.w": np.ones(1, np.float32)} if averaged else {}
    state = {"step": step, "best_step": best, "images": 32 * step, "elapsed": 90.0 * step}
    folder.checkpoints(keep=5).save(step, Checkpoint(weights, training, state), best)


def test_the_best_averaged_weights_are_found(started):
    with pytest.raises(BadInputError, match="no checkpoint yet"):
        find_weights(started.path)
    save(started, 1)
    assert find_weights(started.path)[1].parent.name == "step-00000001"
    save(started, 2, best=2)
    save(started, 3, best=2)
    found, weights = find_weights(started.path)
    assert (weights.parent.name, weights.name) == ("step-00000002", "ema.safetensors")
    assert found.to_dict() == config().to_dict()
    assert how_far(started.path) == {"images_seen": 64, "updates": 2, "minutes": 3}


def test_a_damaged_best_checkpoint_is_told_and_the_next_one_taken(started, caplog):
    for step in (1, 2, 3):
        save(started, step, best=min(2, step))
    (started.path / "checkpoints/step-00000002/ema.safetensors").write_bytes(b"")
    assert find_weights(started.path)[1].parent.name == "step-00000003"
    assert "step-00000002/ema.safetensors is damaged" in caplog.text
    assert how_far(started.path)["updates"] == 3
    for path in started.path.glob("checkpoints/*/state.json"):
        path.write_text("[]")
    with pytest.raises(BadInputError, match=r"No checkpoint of the run in .* is intact"):
        how_far(started.path)


def test_without_averages_the_weights_themselves_are_found(started):
    save(started, 1, averaged=False)
    assert find_weights(started.path)[1].name == "model.safetensors"


def test_another_folder_is_no_run(tmp_path):
    with pytest.raises(BadInputError, match="is not the folder of a training run"):
        find_weights(tmp_path)
