import numpy as np
import pytest

from hvae_core.config import create_component, parse_config
from hvae_core.data.arrays import ArraySource
from hvae_core.data.given import digest, evaluate_on, names_a_dataset, train_on
from hvae_core.data.python_objects import open_object
from hvae_core.errors import BadInputError, ConfigError, DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (1100, 8, 8, 1), dtype=np.uint8)
CONFIG = parse_config({"model": {"resolutions": [8, 1], "image_channels": 1}})


def test_the_configuration_says_what_the_images_are():
    config, dataset = train_on(CONFIG, {"train": IMAGES, "test": IMAGES[:3]})
    assert config.data.to_dict() == {
        "name": "python",
        "type": "numpy.ndarray",
        "shape": [8, 8, 1],
        "images": {"train": 1100, "test": 3},
        "digest": {"train": digest(ArraySource(IMAGES)), "test": digest(ArraySource(IMAGES[:3]))},
        "flip": False,
        "binarization": "none",
        "values": {"dtype": "uint8", "bits": None, "range": None, "unit": ""},
    }
    assert parse_config(config.to_dict()) == config
    assert dataset.splits == ("train", "test")
    assert dataset.shape == (8, 8, 1)
    assert dataset.info.sizes == {"train": 1100, "test": 3}
    np.testing.assert_array_equal(dataset.load("test").batch(np.arange(3)), IMAGES[:3])
    with pytest.raises(DataError, match="no split 'validation'"):
        dataset.load("validation")


def test_the_options_of_the_data_set_given_up_stay_and_may_be_set():
    config = parse_config(
        {**CONFIG.to_dict(), "data": {"name": "mnist", "padding": 0}, "likelihood": "bernoulli"}
    )
    given, dataset = train_on(config, IMAGES, ["data.flip=true", "train.batch_size=4"])
    assert (given.data.options.binarization, given.data.options.flip) == ("dynamic", True)
    assert dataset.invariance.mirrored
    assert given.train.batch_size == 4
    measured = evaluate_on(given, IMAGES, (8, 8, 1), "test")
    assert measured.options.binarization == "dynamic"
    assert measured.splits == ("test",)


def test_digests_tell_images_apart_and_not_their_containers(tmp_path):
    whole = digest(ArraySource(IMAGES))
    assert whole.startswith("sha256:")
    changed = IMAGES.copy()
    changed[700, 3, 3] ^= 1
    others = [changed, IMAGES[::-1], IMAGES[:-1], IMAGES.reshape(1100, 4, 16, 1)]
    assert len({whole, *(digest(ArraySource(images)) for images in others)}) == 5
    part = digest(open_object(list(IMAGES), (8, 8, 1)))
    assert part.startswith("sha256-of-1024:")
    assert part != digest(open_object(list(255 - IMAGES), (8, 8, 1)))
    np.save(tmp_path / "mapped.npy", IMAGES)
    mapped = open_object(np.load(tmp_path / "mapped.npy", mmap_mode="r"), (8, 8, 1))
    assert digest(mapped) == whole  # as runs have recorded it
    few = IMAGES[:20]
    assert digest(open_object(list(few), (8, 8, 1))) == digest(ArraySource(few))


def test_what_names_a_data_set():
    for named in (
        "digits",
        {"name": "digits"},
        {"root": "x"},
        create_component("dataset", "mnist"),
    ):
        assert names_a_dataset(named)
    for held in (IMAGES, (IMAGES, None), {"train": IMAGES}, {"train": [1], "test": [2]}):
        assert not names_a_dataset(held)


@pytest.mark.parametrize(
    ("data", "overrides", "error", "sentence"),
    [
        ({"test": IMAGES}, (), DataError, "no split 'train'"),
        ({"train": IMAGES, "test": IMAGES[:, :4]}, (), DataError, r"dataset\['test'\] has shape"),
        (IMAGES, ["data.name=mnist"], ConfigError, "data.name is 'mnist', but images are given"),
        (IMAGES, ["data.padding=2"], ConfigError, "Unknown key 'data.padding'"),
        (create_component("dataset", "digits").build(), (), BadInputError, "Name it"),
    ],
)
def test_what_cannot_be_trained_on_is_told(data, overrides, error, sentence):
    with pytest.raises(error, match=sentence):
        train_on(CONFIG, data, overrides)
