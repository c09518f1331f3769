from pathlib import Path

import numpy as np
import pytest

from hvae_core.data.arrays import ArraySource
from hvae_core.data.fingerprints import fingerprint
from hvae_core.errors import PresetError
from hvae_core.runs.data_record import DataRecord, known_images
from hvae_core.zoo import find_preset, write_preset
from hvae_core.zoo.training_images import find_data_record

IMAGES = np.arange(96, dtype=np.uint8).reshape(24, 2, 2, 1)


def test_a_preset_tells_images_of_its_training_from_others(zoo: Path) -> None:
    prints = {
        name: fingerprint(ArraySource(images))
        for name, images in (("train", IMAGES[:20]), ("test", IMAGES[20:]))
    }
    trained = {"updates": 7, "splits": DataRecord(prints).summary()}
    config = find_preset("trained").config
    preset = write_preset(zoo / "trained", config, info={"trained": trained}, overwrite=True)
    record = find_data_record("trained")
    assert record is not None
    told = known_images(ArraySource(IMAGES[20:]), "test", 4, record)
    assert told == {"sha256": prints["test"].sha256, "changed": False}
    assert known_images(ArraySource(IMAGES[19:]), "test", 4, record)["changed"]
    card = (preset.folder / "README.md").read_text()
    assert f"- updates: 7\n- split train: 20 images, SHA-256 {prints['train'].sha256}\n" in card


def test_nothing_is_known_where_nothing_is_recorded(zoo: Path) -> None:
    for source in ("trained", "no-such-preset", None):
        assert find_data_record(source) is None


@pytest.mark.parametrize("splits", ["no", [], {"test": {"images": 1, "sha256": "a"}}, {"train": 5}])
def test_a_damaged_record_is_named(zoo: Path, splits: object) -> None:
    config = find_preset("trained").config
    with pytest.raises(PresetError, match=r"preset\.yaml: trained\.splits must give images"):
        write_preset(zoo / "trained", config, info={"trained": {"splits": splits}}, overwrite=True)
    assert find_data_record("trained") is None
