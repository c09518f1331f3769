from pathlib import PurePosixPath

import pytest

from hvae_core.data.split_names import (
    by_folder,
    class_folders,
    split_begun,
    split_folder,
    split_named,
)


@pytest.mark.parametrize(
    ("split", "names"),
    [
        ("train", "train Train TRAIN Training train2017 trainA train_images train-set"),
        ("test", "test Test TESTING test_set test-images testB Test01 evaluation holdout"),
        ("validation", "val Valid VALIDATION val2017 dev validation_data"),
        (None, "cats trains testament tested contest validity t 2017 trainer attest"),
    ],
)
def test_names_of_folders(split, names):
    assert {name: split_named(name) for name in names.split()} == dict.fromkeys(
        names.split(), split
    )
    assert split_named("Training Images") == "train"


def test_the_uppermost_folder_counts():
    assert split_folder(PurePosixPath("Train/test/a.png")) == ("train", PurePosixPath("Train"))
    assert split_folder(PurePosixPath("cats/Testing/x/a.png")) == (
        "test", PurePosixPath("cats/Testing")
    )  # fmt: skip
    assert split_folder(PurePosixPath("cats/test.png")) == (None, None)


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        (["train/cat/0.png", "test/dog/0.png"], ["cat", "dog"]),
        (["cat/0.png", "Test/cat/0.png", "0.png"], ["cat", "cat", None]),
        (["cat/train/0.png", "dog/Testing/0.png"], ["cat", "dog"]),
        (["data/train/cat/0.png", "data/train/0.png"], ["cat", None]),
        (["train/cat/front/0.png", "train/0.png"], ["front", None]),
        (["Training/0.png", "Test/0.png"], [None, None]),
    ],
)
def test_the_class_of_a_file_is_a_folder_that_says_no_split(files, classes):
    assert class_folders(map(PurePosixPath, files)) == classes


def test_what_a_file_s_name_begins_with():
    assert split_begun("Testing-00000-of-00001") == "test"
    assert split_begun("train_0") == "train"
    assert split_begun("labels") is None


def test_files_by_folder(tmp_path):
    files = [tmp_path / name for name in ("val/a", "Test/b", "testing/c", "cats/d", "e")]
    found, folders, others = by_folder(tmp_path, files)
    assert found == {"validation": files[:1], "test": files[1:3]}
    assert folders == {"validation": ["val"], "test": ["Test", "testing"]}
    assert others == files[3:]
