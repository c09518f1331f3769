import dataclasses
import errno

import numpy as np
import pytest

from hvae_core.cli.evaluate import _warnings
from hvae_core.data.arrays import ArraySource
from hvae_core.data.fingerprints import Fingerprint, fingerprint
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.files.replacing import replace_file
from hvae_core.runs.data_record import DataRecord, changed, check_unchanged, known_images, record_of

IMAGES = np.arange(96, dtype=np.uint8).reshape(24, 2, 2, 1)


def of(images):
    return fingerprint(ArraySource(images))


def test_what_is_written_is_read_back(tmp_path):
    assert DataRecord.read(tmp_path) is None
    assert record_of(tmp_path) is record_of("digits-vdvae") is record_of(None) is None
    record = DataRecord({"train": of(IMAGES[:20]), "test": of(IMAGES[20:])})
    record.write(tmp_path)
    found = record_of(str(tmp_path))
    assert {name: p.sha256 for name, p in found.splits.items()} == {
        name: p.sha256 for name, p in record.splits.items()
    }
    np.testing.assert_array_equal(found.training.digests, record.training.digests)
    DataRecord({"train": dataclasses.replace(of(IMAGES), digests=None)}).write(tmp_path)
    assert DataRecord.read(tmp_path).training.digests is None


@pytest.mark.parametrize("stopped", ["data.json", "data-digests.npy"])
def test_digests_never_lie_beside_a_record_of_other_images(tmp_path, monkeypatch, stopped):
    """A full disk, or a kill, while other images are recorded."""
    before, now = of(IMAGES), of(IMAGES[1:])
    DataRecord({"train": before}).write(tmp_path)

    def full(path, content):
        if path.name == stopped:
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace_file(path, content)

    monkeypatch.setattr("hvae_core.runs.data_record.replace_file", full)
    for record in (before, now):
        with pytest.raises(OSError, match="No space left"):
            DataRecord({"train": record}).write(tmp_path)
        found = DataRecord.read(tmp_path).training
        if record is before:
            np.testing.assert_array_equal(found.digests, before.digests)
        else:
            assert found.digests is None
            assert found.sha256 == (before if stopped == "data.json" else now).sha256


@pytest.mark.parametrize(
    "content", ["[", "{}", '{"splits": {}}', '{"splits": {"train": 5}}',
                '{"splits": {"train": {"images": "x", "sha256": 1}}}', '{"splits": []}'],
)  # fmt: skip
def test_a_damaged_record_is_named(tmp_path, content):
    DataRecord({"train": of(IMAGES)}).write(tmp_path)
    (tmp_path / "data.json").write_text(content)
    with pytest.raises(BadInputError, match=r"data\.json or data-digests\.npy .* is damaged"):
        DataRecord.read(tmp_path)


def test_digests_of_other_images_are_damage(tmp_path):
    DataRecord({"train": of(IMAGES)}).write(tmp_path)
    for content in (np.zeros(3, np.uint64), np.zeros(24)):
        np.save(tmp_path / "data-digests.npy", content)
        with pytest.raises(BadInputError, match="is damaged"):
            DataRecord.read(tmp_path)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (of(IMAGES), ""),
        (of(IMAGES[1:]), "0 came and 1 went, of 24"),
        (of(np.concatenate([IMAGES, IMAGES[:1]])), "1 came and 0 went, of 24"),
        (of(np.concatenate([IMAGES[:-1], IMAGES[:1] + 100])), "1 came and 1 went, of 24"),
        (of(IMAGES[::-1]), "they are the same in another order"),
        (Fingerprint(24, "other"), "they were 24 and are 24, or others"),
    ],
)
def test_what_changed_is_said(now, told):
    before = of(IMAGES)
    assert changed(before, now) == told
    if told:
        with pytest.raises(ConfigError, match=told) as caught:
            check_unchanged(before, now, "runs/a")
        assert "--allow-changed-data" in caught.value.hint
    else:
        check_unchanged(before, now, "runs/a")


def test_an_evaluation_knows_the_images_that_were_trained_on():
    record = DataRecord({"train": of(IMAGES[:20]), "test": of(IMAGES[16:])})
    source = ArraySource(IMAGES[16:])
    told = known_images(source, "test", 8, record)
    assert told == {"sha256": of(IMAGES[16:]).sha256, "in_training_split": 4, "changed": False}
    assert known_images(source, "test", 3, record)["in_training_split"] == 3
    assert known_images(ArraySource(IMAGES), "test", 24, record)["changed"]
    assert known_images(source, "test", 8, None) == {"sha256": told["sha256"]}
    assert "changed" not in known_images(source, "validation", 8, record)
    (warning, *others) = _warnings({**told, "split": "test", "images": 8}, True)
    assert "4 of the 8 test images are among those" in warning
    assert not others
    changed_too = {"split": "train", "images": 8, "in_training_split": 8, "changed": True}
    assert len(list(_warnings(changed_too, True))) == 1
    assert not list(_warnings(changed_too, False))
