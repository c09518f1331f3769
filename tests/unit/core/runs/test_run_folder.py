import numpy as np
import pytest

from hvae_core.config import parse_config
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.runs.best_checkpoint import find_weights
from hvae_core.runs.run_folder import RunFolder, is_run_folder


def config(**train):
    return parse_config({"data": "digits", "train": {"epochs": 2, **train}})


@pytest.fixture
def started(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create(config(), np.array([1, 5]))
    return folder


def test_a_folder_with_content_is_refused(started, tmp_path):
    with pytest.raises(BadInputError, match="is not empty"):
        started.check_new()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(BadInputError, match="is a file"):
        RunFolder(file).check_new()
    RunFolder(tmp_path / "new").check_new()


def test_a_name_that_is_too_long_is_bad_input(tmp_path):
    folder = RunFolder(tmp_path / ("a" * 300))
    assert not is_run_folder(folder.path)
    folder.check_new()
    with pytest.raises(BadInputError, match=r"Cannot write to the output folder .*too long"):
        folder.lock().__enter__()
    with pytest.raises(BadInputError, match="is not the folder of a training run"):
        find_weights(folder.path)
    assert list(tmp_path.iterdir()) == []


def test_what_was_saved_is_read_back(started):
    assert started.read_config().to_dict() == config().to_dict()
    assert started.validation_record().indices.tolist() == [1, 5]
    assert is_run_folder(started.path)


def test_a_resumed_run_may_change_its_length_but_not_its_updates(started):
    started.check_resumed(config(epochs=9, log_steps=7))
    with pytest.raises(ConfigError, match=r"train\.batch_size is 64 .* with 32"):
        started.check_resumed(config(batch_size=64))


@pytest.mark.parametrize(
    ("before", "now", "sentence"),
    [
        ("adam", {"name": "muon", "momentum": 0.8}, "optimizer is 'muon' .* with 'adam'"),
        ({"name": "muon", "momentum": 0.8}, "adam", "optimizer is 'adam' .* with 'muon'"),
        ({"name": "muon", "momentum": 0.8}, "muon", "train.optimizer"),
    ],
)
def test_another_optimizer_is_named_however_it_is_written(tmp_path, before, now, sentence):
    folder = RunFolder(tmp_path / "run")
    folder.create(config(optimizer=before), np.arange(2))
    folder.check_resumed(config(optimizer=before))
    with pytest.raises(ConfigError, match=sentence):
        folder.check_resumed(config(optimizer=now))


def test_resuming_needs_a_run_or_an_empty_folder(tmp_path):
    RunFolder(tmp_path / "nothing").check_resumed(config())
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(BadInputError, match="not empty"):
        RunFolder(tmp_path).check_resumed(config())


def test_a_second_process_is_kept_out(started):
    with started.lock(), pytest.raises(BadInputError, match="Another process"):  # noqa: SIM117
        with RunFolder(started.path).lock():
            pass
    with started.lock():
        pass


def test_a_lock_leaves_no_empty_folder_behind(tmp_path):
    with RunFolder(tmp_path / "new").lock():
        pass
    assert not (tmp_path / "new").exists()


def test_what_a_run_leaves_that_was_killed_before_it_began_is_no_run(tmp_path):
    folder = RunFolder(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / ".lock").write_text("")
    (tmp_path / ".config.yaml.00c0ffee.tmp").write_text("mod")
    (tmp_path / "data-digests.npy").write_bytes(b"whole, or it would be under another name")
    (tmp_path / "data.json").write_text("{}")
    (tmp_path / "validation.json").write_text("{}")
    folder.check_new()
    folder.check_resumed(config())
    assert folder.data_record() is None
    assert folder.validation_record() is None
    folder.create(config(), np.arange(2))
    assert not list(tmp_path.glob(".*.tmp"))
    for name in ("mine.tmp", ".config.yaml.tmp", "checkpoints/step-00000001"):
        other = RunFolder(tmp_path / "other")
        (other.path / name).mkdir(parents=True)
        with pytest.raises(BadInputError, match="not empty"):
            other.check_resumed(config())


@pytest.mark.parametrize(
    "content", ["[", "{}", '{"indices": 5}', '{"indices": [[1]]}', '{"indices": [1e999, true]}',
                '{"indices": ["1"]}', f'{{"indices": [{10**30}]}}', "[" * 9999,
                '{"indices": [1], "sha256": 5}', '{"indices": [1], "digests": 5}',
                '{"indices": [1], "digests": []}', '{"indices": [1], "digests": ["0x12"]}'],
)  # fmt: skip
def test_a_damaged_validation_file_is_named(started, content):
    (started.path / "validation.json").write_text(content)
    with pytest.raises(BadInputError, match=r"validation\.json is damaged"):
        started.validation_record()


def test_images_given_in_python_may_be_others_where_that_is_allowed(tmp_path):
    def given(digest, count, **train):
        data = {"name": "python", "type": "array", "values": {"dtype": "uint8"}}
        data |= {"images": {"train": count}, "digest": {"train": digest}}
        return parse_config({"data": data, "train": {"epochs": 2, **train}})

    folder = RunFolder(tmp_path / "run")
    folder.create(given("sha256:a", 20), np.arange(2))
    with pytest.raises(ConfigError, match="those given now are other ones"):
        folder.check_resumed(given("sha256:b", 21))
    folder.check_resumed(given("sha256:b", 21), allow_changed_data=True)
    with pytest.raises(ConfigError, match=r"train\.batch_size"):
        folder.check_resumed(given("sha256:b", 21, batch_size=64), allow_changed_data=True)
    with pytest.raises(ConfigError, match="not with the data set 'digits'"):
        folder.check_resumed(config(), allow_changed_data=True)
