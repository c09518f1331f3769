import shutil

import numpy as np
import pytest

from hvae_core.data import parquet
from hvae_core.data.decode import decode_image
from hvae_core.errors import DataError

pyarrow = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def test_fixture(fixtures_folder):
    splits = parquet.find_splits(fixtures_folder / "cifar10")
    assert sorted(splits) == ["test", "train"]
    assert parquet.count_rows(splits["train"]) == 32
    rows = list(parquet.encoded_images(splits["train"]))
    assert len(rows) == 32
    assert decode_image(rows[5][1], 3).shape == (32, 32, 3)
    assert rows[5][0] == f"Row 5 of {splits['train'][0]}"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train-00000-of-00001.parquet", "train"),
        ("data/validation-00000-of-00001.parquet", "validation"),
        ("default/test/0000.parquet", "test"),
        ("valid.parquet", "validation"),
        ("Testing/0000.parquet", "test"),
        ("TEST-00000-of-00001.parquet", "test"),
        ("test/more/0000.parquet", "test"),
        (".cache/train-00000-of-00001.parquet", None),
        ("labels.parquet", None),
    ],
)
def test_splits_are_read_from_names(tmp_path, name, split):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    assert parquet.find_splits(tmp_path) == ({split: [path]} if split else {})


@pytest.mark.parametrize(
    ("endings", "missing"),
    [
        (("", ""), r"train-00001-of-00003\.parquet"),
        # as the Hub named them formerly, each with a digest of its own
        (("-abcdef0123456789", "-0123456789abcdef"), r"train-00001-of-00003-\*\.parquet"),
    ],
)
def test_a_missing_shard_is_named(tmp_path, endings, missing):
    for number, ending in zip((0, 2), endings, strict=True):
        (tmp_path / f"train-0000{number}-of-00003{ending}.parquet").write_bytes(b"")
    with pytest.raises(DataError, match=f"{missing} is missing, one of 3"):
        parquet.find_splits(tmp_path)
    (tmp_path / f"train-00001-of-00003{endings[0]}.parquet").write_bytes(b"")
    assert len(parquet.find_splits(tmp_path)["train"]) == 3


def test_truncated_file(fixtures_folder, tmp_path):
    source = fixtures_folder / "cifar10" / "test-00000-of-00001.parquet"
    path = tmp_path / source.name
    path.write_bytes(source.read_bytes()[:-50])
    with pytest.raises(DataError, match=r"test-00000-of-00001.parquet .*truncated or damaged"):
        parquet.count_rows([path])


def test_damage_in_the_middle(fixtures_folder, tmp_path):
    source = fixtures_folder / "cifar10" / "test-00000-of-00001.parquet"
    data = bytearray(source.read_bytes())
    data[4:24] = b"\xff" * 20  # the first page's header
    path = tmp_path / source.name
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"test-00000-of-00001.parquet .*truncated or damaged"):
        list(parquet.encoded_images([path]))


def test_columns(fixtures_folder, tmp_path):
    (_, data), *_ = parquet.encoded_images(parquet.find_splits(fixtures_folder / "cifar10")["test"])
    path = tmp_path / "train.parquet"
    pq.write_table(pyarrow.table({"picture": [data, data], "label": [1, 2]}), path)
    assert [row for _, row in parquet.encoded_images([path], "picture")] == [data, data]
    with pytest.raises(DataError, match="no column 'image' or 'img'") as caught:
        list(parquet.encoded_images([path]))
    assert "data.column" in caught.value.hint
    with pytest.raises(DataError, match="no column 'pictures'") as caught:
        list(parquet.encoded_images([path], "pictures"))
    assert "picture" in caught.value.hint
    with pytest.raises(DataError, match="no encoded image in column 'label'"):
        list(parquet.encoded_images([path], "label"))


def test_a_column_with_a_line_break_in_its_name_makes_one_line(tmp_path):
    path = tmp_path / "train.parquet"
    pq.write_table(pyarrow.table({"a\n\x1b[2Jb": [b"x"]}), path)
    with pytest.raises(DataError) as caught:
        list(parquet.encoded_images([path]))
    assert "its columns are a \\x1b[2Jb." in caught.value.message


def test_one_file(fixtures_folder, tmp_path):
    path = tmp_path / "mine.parquet"
    shutil.copy(fixtures_folder / "cifar10" / "test-00000-of-00001.parquet", path)
    assert parquet.find_splits(path) == {"train": [path]}


@pytest.mark.needs_shared
def test_pixels_agree_with_the_published_means(shared_folder):
    folder = shared_folder / "data" / "cifar10"
    if not folder.is_dir():
        pytest.skip("no CIFAR-10 here")
    files = parquet.find_splits(folder)["train"]
    assert parquet.count_rows(files) == 50_000
    total = np.zeros(3)
    for number, (_, data) in enumerate(parquet.encoded_images(files)):
        if number == 2000:
            break
        total += decode_image(data, 3).mean((0, 1))
    np.testing.assert_allclose(total / 2000, [125.3, 122.95, 113.87], atol=2)
