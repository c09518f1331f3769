"""Repositories in folders, which the library reads as it reads the Hub's; and a loopback Hub."""

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("datasets")

import datasets
from hub_server import COMMIT, serve

from hvae_core.config import parse_config
from hvae_core.errors import DataError, MissingDependencyError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (20, 8, 6, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Two configurations, one of them with a column of masks and the images not called image."""
    folder = tmp_path_factory.mktemp("hub") / "repository"
    (folder / "plain").mkdir(parents=True)
    (folder / "named").mkdir()
    images, picture = [Image.fromarray(image) for image in IMAGES], datasets.Image()
    columns = {"image": picture, "label": datasets.Value("int64")}
    rows = {"image": images, "label": range(20)}
    table = datasets.Dataset.from_dict(rows, datasets.Features(columns))
    table.select(range(15)).to_parquet(folder / "plain" / "train-00000-of-00001.parquet")
    table.select(range(15, 20)).to_parquet(folder / "plain" / "validation-00000-of-00001.parquet")
    columns = {"label": datasets.Value("int64"), "picture": picture, "mask": picture}
    rows = {"label": range(20), "picture": images, "mask": images[::-1]}
    table = datasets.Dataset.from_dict(rows, datasets.Features(columns))
    table.to_parquet(folder / "named" / "train-00000-of-00001.parquet")
    (folder / "README.md").write_text(
        "---\nlicense: cc0-1.0\nconfigs:\n"
        "- {config_name: plain, data_dir: plain, default: true}\n"
        "- {config_name: named, data_dir: named}\n---\n"
    )
    return str(folder)


def hub(repository, **options):
    data = {"name": "hub", "repository": repository, "test_fraction": 0, **options}
    return parse_config({"data": data}).data.build()


def all_of(source):
    return source.batch(np.arange(len(source)))


@pytest.mark.parametrize("streaming", [False, True])
def test_a_repository_s_splits_are_decoded_once(repository, streaming, cache):
    dataset = hub(repository, streaming=streaming)
    assert dataset.splits == ("train", "validation")
    assert dataset.shape == (8, 6, 3)
    dataset.prepare()
    files = sorted(cache.rglob("*.npy"))
    assert len(files) == 2
    again = hub(repository, streaming=streaming)
    np.testing.assert_array_equal(all_of(again.load("train")), IMAGES[:15])
    np.testing.assert_array_equal(all_of(again.load("validation")), IMAGES[15:])
    assert sorted(cache.rglob("*.npy")) == files
    if not streaming:
        assert dataset.info.sizes == {"train": 15, "validation": 5}
    with pytest.raises(DataError, match="Known names: train, validation"):
        dataset.load("test")


def test_a_configuration_and_its_column(repository):
    dataset = hub(repository, config="named", column="picture")
    np.testing.assert_array_equal(all_of(dataset.load("train")), IMAGES)
    for options, sentence in (
        ({"config": "named"}, "columns label, picture, mask, of which picture, mask have images"),
        ({"column": "images"}, "no column 'images'. Did you mean 'image'"),
        ({"column": "label"}, "column 'label' .* has no images. Those that have are: image"),
        ({"config": "other"}, r"'other' not found. Available: \['plain', 'named'\]"),
    ):
        with pytest.raises(DataError, match=sentence):
            hub(repository, **options).load("train")


def test_splits_of_one_s_own(repository):
    dataset = hub(repository, splits={"train": "train[:10]", "test": "train[10:]"})
    assert dataset.splits == ("train", "test")
    np.testing.assert_array_equal(all_of(dataset.load("test")), IMAGES[10:15])
    with pytest.raises(DataError, match="cannot be read"):
        hub(repository, splits={"train": "no"}).load("train")


def test_sizes_grey_flips_and_binarization(repository):
    options = {"size": 4, "channels": 1, "flip": True, "binarization": "dynamic"}
    dataset = hub(repository, **options)
    images = all_of(dataset.load("train"))
    assert images.shape == (15, 4, 4, 1)
    stretched = all_of(hub(repository, **options, crop="none").load("train"))
    assert (stretched != images).any()
    assert dataset.invariance.mirrored
    drawn = dataset.transform(images, np.random.default_rng(0), False)
    assert set(np.unique(drawn)) == {0, 255}


@pytest.mark.parametrize("streaming", [False, True])
def test_a_repository_of_image_files(tmp_path, streaming):
    for number, image in enumerate(IMAGES[:4]):
        folder = tmp_path / "files" / "train" / str(number % 2)
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{number}.png")
    source = hub(str(tmp_path / "files"), streaming=streaming).load("train")
    assert {i.tobytes() for i in all_of(source)} == {i.tobytes() for i in IMAGES[:4]}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("order", [range(5, -1, -1), range(3)])
def test_a_folder_that_changed_is_read_anew(tmp_path, streaming, order):
    """Also where its README.md names the files, of which the library sees the names alone."""
    folder = tmp_path / "mine"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        "  - {split: train, path: data/train-*}\n---\n"
    )
    file = folder / "data" / "train-00000-of-00001.parquet"
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})

    def hold(numbers, changed):
        rows = {"image": [Image.fromarray(IMAGES[n]) for n in numbers], "label": list(numbers)}
        datasets.Dataset.from_dict(rows, features).to_parquet(file)
        os.utime(file, (changed, changed))

    for numbers, changed in ((range(6), 1_000_000), (order, 1_000_001)):
        hold(numbers, changed)
        dataset = hub(str(folder), streaming=streaming)
        np.testing.assert_array_equal(all_of(dataset.load("train")), IMAGES[list(numbers)])
        np.testing.assert_array_equal(dataset.condition("label", "train").values, list(numbers))
        if not streaming:
            assert hub(str(folder)).info.sizes == {"train": len(numbers)}


def test_a_revision_is_asked_for(monkeypatch, repository):
    asked = []
    monkeypatch.setattr(datasets, "load_dataset_builder", lambda *a, **k: asked.append((a, k)))
    _ = hub("owner/name", config="plain", revision="v1")._builder
    assert asked == [(("owner/name", "plain"), {"revision": "v1"})]


def test_the_network_is_not_touched_where_it_is_forbidden(monkeypatch, repository):
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    offline = datasets.config.HF_HUB_OFFLINE
    with pytest.raises(DataError, match=r"owner/name cannot be read.*HVAE_OFFLINE=1 forbids"):
        hub("owner/name", revision="main").load("train")
    assert offline == datasets.config.HF_HUB_OFFLINE
    assert len(hub(repository).load("train")) == 15


def test_a_missing_library_is_told(monkeypatch, repository):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'hvae\[hub-data\]'"):
        hub(repository).load("train")


HUB = """
import os
import numpy as np
from hvae_core.config import parse_config

def images(home, **options):
    os.environ["HVAE_HOME"] = home
    data = {"name": "hub", "repository": "owner/name", "config": "plain"}
    data |= {"test_fraction": 0, **options}
    source = parse_config({"data": data}).data.build().load("train")
    return source.batch(np.arange(15))

cached = images("cached")
assert (images("streamed", streaming=True) == cached).all()
print("offline from here")
os.environ["HVAE_OFFLINE"] = "1"
assert (images("again") == cached).all()
np.save("images.npy", cached)
"""


def test_a_repository_of_the_hub_is_downloaded_or_streamed(repository, tmp_path):
    asked = []
    server = serve(Path(repository), "owner/name", asked)
    try:
        done = subprocess.run(
            [sys.executable, "-c", HUB],
            cwd=tmp_path,
            env={
                **{key: value for key, value in os.environ.items() if not key.startswith("HF_")},
                "HF_ENDPOINT": f"http://127.0.0.1:{server.server_port}",
                "HF_HOME": str(tmp_path / "hf"),
            },
            capture_output=True,
            text=True,
        )
    finally:
        server.shutdown()
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "images.npy"), IMAGES[:15])
    assert any(COMMIT in path and path.endswith("of-00001.parquet") for path in asked)


def test_images_are_known_by_their_content(repository, cache):
    dataset = hub(repository)
    keys = dataset.keys("train")
    assert len(set(keys)) == len(keys) == 15
    assert keys == hub(repository, streaming=True).keys("train")
    assert hub(repository, split_by="position").keys("train") is None


def test_a_repository_without_a_test_split_holds_some_out(repository):
    known = hub(repository).keys("train")
    dataset = hub(repository, test_fraction=0.3)
    assert dataset.splits == ("train", "validation", "test")
    train, test = (dataset.keys(split) for split in ("train", "test"))
    assert sorted(train + test) == sorted(known)
    assert len(all_of(dataset.load("test"))) == len(test) > 0
    assert dataset.notes()[0].startswith("There is no split of test images: ")
    assert dataset.info.sizes in ({"validation": 5}, {})
    fewer = hub(repository, test_fraction=0.3, splits={"train": "train[:12]"})
    assert set(fewer.keys("test")) == set(test) & set(known[:12])
    assert hub(repository, test_fraction=0.3, split_seed=5).keys("test") != test


def test_native_values_and_backgrounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")  # a path that names no split
    deep = [Image.fromarray(image) for image in IMAGES[:3, ..., 0].astype(np.uint16) * 16]
    clear = [Image.fromarray(np.dstack([image, image[..., 0]])) for image in IMAGES[:3]]
    table = datasets.Dataset.from_dict(
        {"deep": deep, "clear": clear},
        datasets.Features(dict.fromkeys(("deep", "clear"), datasets.Image())),
    )
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    options = {"column": "deep", "channels": 1, "size": [8, 6]}
    twelve = hub(str(folder), values={"dtype": "uint16", "bits": 12}, **options)
    assert twelve.shape == (8, 6, 1)
    np.testing.assert_array_equal(
        all_of(twelve.load("train"))[..., 0], IMAGES[:3, ..., 0].astype(np.uint16) * 16
    )
    with pytest.raises(DataError, match="holds uint16 values"):
        hub(str(folder), **options).load("train")
    halved = all_of(hub(str(folder), reduce_bits=True, **options).load("train"))
    np.testing.assert_array_equal(halved[..., 0], IMAGES[:3, ..., 0] >> 4)
    with pytest.raises(DataError, match=r"Row 0 of .* has transparent pixels") as caught:
        hub(str(folder), column="clear").load("train")
    assert "data.background" in caught.value.hint
    assert len(hub(str(folder), column="clear", background="black").load("train")) == 3


def test_unreadable_images_are_left_out_and_told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    rows = [{"bytes": b"no image", "path": None}]
    for image in IMAGES[:2]:
        buffer = io.BytesIO()
        Image.fromarray(image).save(buffer, "PNG")
        rows.append({"bytes": buffer.getvalue(), "path": None})
    features = datasets.Features({"image": datasets.Image(decode=False)})
    table = datasets.Dataset.from_dict({"image": rows}, features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"Row 0 of .* is no readable image"):
        hub(str(folder), column="image").load("train")
    dataset = hub(str(folder), column="image", skip_unreadable=True)
    assert len(dataset.load("train")) == 2
    assert dataset.notes()[0].startswith("1 of 3 train images cannot be read")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_damaged_first_row_is_left_out_as_any_other(tmp_path_factory, streaming):
    folder = tmp_path_factory.mktemp("hub")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("int64")})
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(buffer, "PNG")
    cells = [{"bytes": data, "path": None} for data in (b"no image", buffer.getvalue())]
    table = datasets.Dataset.from_dict({"image": cells, "label": [3, 4]}, features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    dataset = hub(str(folder), skip_unreadable=True, streaming=streaming)
    np.testing.assert_array_equal(all_of(dataset.load("train")), IMAGES[:1])
    assert dataset.condition("label", "train").values.tolist() == [4]
    with pytest.raises(DataError, match=r"Row 0 of .* is no readable image"):
        hub(str(folder), streaming=streaming).load("train")


def test_damaged_images_of_other_columns_are_not_looked_at(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    buffer = io.BytesIO()
    Image.fromarray(IMAGES[0]).save(buffer, "PNG")
    good, bad = ({"bytes": data, "path": None} for data in (buffer.getvalue(), b"no image"))
    picture = datasets.Image()
    features = datasets.Features({"image": picture, "mask": picture, "more": [picture]})
    table = datasets.Dataset.from_dict({"image": [good], "mask": [bad], "more": [[bad]]}, features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    np.testing.assert_array_equal(all_of(hub(str(folder)).load("train")), IMAGES[:1])


def test_an_empty_cell_is_told(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    cells = [Image.fromarray(IMAGES[0]), None]
    features = datasets.Features({"image": datasets.Image()})
    table = datasets.Dataset.from_dict({"image": cells}, features)
    table.to_parquet(folder / "train-00000-of-00001.parquet")
    with pytest.raises(DataError, match=r"Row 1 of split 'train' of .* has no image"):
        hub(str(folder)).load("train")
