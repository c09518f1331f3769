"""Which images a run is trained on, and what happens when its folder changes. No backend."""

import errno
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hvae_core.config import parse_config
from hvae_core.errors import BadInputError, ConfigError
from hvae_core.runs.run_folder import RunFolder
from hvae_core.training.feeding import Earlier, open_images

SIZE = 4


def picture(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def photos(tmp_path):
    for number in range(60):
        picture(tmp_path / "photos" / f"{number:03d}.png", number)
    return tmp_path / "photos"


def config(root, **options):
    train = {"batch_size": 4, "epochs": 1, "validation_fraction": 0.2}
    data = {"name": "image-folder", "root": str(root), "size": SIZE, **options}
    return parse_config({"data": data, "train": train})


def divided(images):
    """The images trained on and validated on, each as the set of their pixels."""
    pixels = [image.tobytes() for image in images.source.images]
    return (
        {pixels[index] for index in images.training},
        {pixels[index] for index in images.validation},
    )


def parts(images):
    """The images trained on, validated and tested on, each as the set of their pixels."""
    test = images.dataset.load("test").images
    return (*divided(images), {image.tobytes() for image in test})


def start(root, folder, **options):
    images = open_images(config(root, **options))
    RunFolder(folder).create(config(root, **options), images.validation, images.record)
    return images


def go_on(root, folder, allow=False, **options):
    run = RunFolder(folder)
    earlier = Earlier(run.path, run.validation_record(), run.data_record(), allow)
    return open_images(config(root, **options), earlier)


@pytest.mark.parametrize("indices", [[5000], [-3, 4]])
def test_held_out_images_that_there_never_were_are_a_sentence(photos, tmp_path, indices):
    start(photos, tmp_path / "run")
    held_out = json.dumps({"split": "train", "indices": indices})
    (tmp_path / "run" / "validation.json").write_text(held_out)
    with pytest.raises(BadInputError, match=r"validation\.json.* is damaged"):
        go_on(photos, tmp_path / "run")


def add(photos, victim):
    picture(photos / "000-new.png", 1000)


def remove(photos, victim):
    victim.unlink()


def replace(photos, victim):
    picture(victim, 1000)


CHANGES = {
    add: "1 came and 0 went",
    remove: "0 came and 1 went",
    replace: "1 came and 1 went",
}


@pytest.mark.parametrize("split_by", ["content", "path"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_run_whose_folder_changed_is_refused_or_goes_on_without_a_leak(
    photos, tmp_path, change, split_by
):
    images = start(photos, tmp_path / "run", split_by=split_by)
    before = parts(images)
    assert all(map(len, before))
    assert parts(go_on(photos, tmp_path / "run", split_by=split_by)) == before
    change(photos, images.dataset.files["train"][3])
    with pytest.raises(ConfigError, match=CHANGES[change]):
        go_on(photos, tmp_path / "run", split_by=split_by)
    images = go_on(photos, tmp_path / "run", allow=True, split_by=split_by)
    assert f"other training images: {CHANGES[change]}, of " in images.notes[-1]
    now = parts(images)
    for was, other in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        assert not before[was] & now[other]


WRITES = ("validation.json", "data.json", "data-digests.npy", "config.yaml")


@pytest.mark.parametrize("back", [False, True], ids=["changed", "brought back"])
@pytest.mark.parametrize("split_by", ["content", "path", "position"])
@pytest.mark.parametrize("stopped", WRITES)
def test_no_held_out_image_is_trained_on_whichever_file_was_not_written(
    photos, tmp_path, monkeypatch, stopped, split_by, back
):
    """A full disk, or a kill, at the start of a run that goes on with other images."""
    options = {"split_by": split_by, "test_fraction": 0}
    held_out = divided(start(photos, tmp_path / "run", **options))[1]
    for number in (1000, 1001, 1002):
        picture(photos / f"000-{number}.png", number)
    images = go_on(photos, tmp_path / "run", allow=True, **options)
    replace = os.replace

    def full(source, target):
        if Path(target).name == stopped:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(BadInputError, match="No space left"):
            RunFolder(tmp_path / "run").create(
                config(photos, **options), images.validation, images.record
            )
    if back:
        for new in photos.glob("000-*.png"):
            new.unlink()
    trained, kept = divided(go_on(photos, tmp_path / "run", allow=True, **options))
    assert not held_out & trained
    assert held_out <= kept


def test_what_an_older_version_held_out_is_found_by_the_digests_of_all_images(photos, tmp_path):
    options = {"split_by": "position", "test_fraction": 0}
    held_out = divided(start(photos, tmp_path / "run", **options))[1]
    path = tmp_path / "run" / "validation.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({key: values[key] for key in ("split", "indices")}))
    picture(photos / "000-new.png", 1000)
    assert divided(go_on(photos, tmp_path / "run", allow=True, **options))[1] == held_out


def test_a_run_of_format_1_keeps_its_images_and_those_it_held_out(photos, tmp_path):
    before = parts(start(photos, tmp_path / "run", split_by="position"))
    (photos / ".ipynb_checkpoints").mkdir()
    assert parts(go_on(photos, tmp_path / "run", split_by="position")) == before
    picture(photos / "000-new.png", 1000)
    with pytest.raises(ConfigError, match="not those that the run"):
        go_on(photos, tmp_path / "run", split_by="position")
    now = parts(go_on(photos, tmp_path / "run", allow=True, split_by="position"))
    assert not before[1] & now[0]  # by position, test images may be others


def test_a_run_without_a_record_that_held_out_other_images_is_refused(photos, tmp_path):
    images = open_images(config(photos))
    run = RunFolder(tmp_path / "run")
    run.create(config(photos), images.validation)
    assert go_on(photos, tmp_path / "run").validation.tolist() == images.validation.tolist()
    run.create(config(photos), images.training[:3])
    with pytest.raises(ConfigError, match="held out other images") as caught:
        go_on(photos, tmp_path / "run")
    assert "split_by: position" in caught.value.hint


@pytest.mark.parametrize("name", ["Train/Test", "Training/Testing", "TRAIN/test_images"])
def test_folders_of_splits_are_told_and_no_test_image_is_trained_on(photos, name):
    train, test = name.split("/")
    for place, numbers in ((train, range(50)), (test, range(50, 60))):
        (photos / place).mkdir()
        for number in numbers:
            (photos / f"{number:03d}.png").rename(photos / place / f"{number:03d}.png")
    images = open_images(config(photos))
    assert len(images.source) == 50
    assert len(images.dataset.load("test")) == 10
    assert f"50 images of train from {train}/." in images.notes
    assert f"10 images of test from {test}/." in images.notes


def test_copies_in_two_splits_are_told_and_content_keeps_them_together(photos):
    for number in range(60):
        shutil.copy(photos / f"{number:03d}.png", photos / f"{number:03d} copy.png")
    together = open_images(config(photos))
    trained, validated, tested = parts(together)
    assert not trained & tested
    assert not trained & validated
    assert not any("Warning" in note for note in together.notes)
    warnings = [n for n in open_images(config(photos, split_by="path")).notes if "Warning" in n]
    assert len(warnings) == 2
    assert "test images are train images too, pixel for pixel: " in warnings[0]
    assert " copy.png" in warnings[0]
    assert "validation images are trained on too" in warnings[1]


def test_arrays_that_grow_move_no_image(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (80, 2, 2, 1), dtype=np.uint8)

    def opened(array):
        np.save(tmp_path / "a.npy", array)
        data = {"name": "arrays", "files": str(tmp_path / "a.npy")}
        train = {"epochs": 1, "validation_fraction": 0.2}
        found = open_images(parse_config({"data": data, "train": train}))
        pixels = [image.tobytes() for image in found.source.batch(np.arange(len(found.source)))]
        test = found.dataset.load("test")
        return (
            {pixels[index] for index in found.training},
            {pixels[index] for index in found.validation},
            {image.tobytes() for image in test.batch(np.arange(len(test)))},
        )

    before, now = opened(images[:60]), opened(images[::-1])
    for was, other in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
        assert before[was]
        assert not before[was] & now[other]
