"""What each data set that has labels says of its images."""

import gzip
import shutil

import numpy as np
import pytest
from PIL import Image

from hvae_core.config import create_component
from hvae_core.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 1), dtype=np.uint8)


def opened(name, **options):
    return create_component("dataset", {"name": name, **options}).build()


def test_digits():
    pytest.importorskip("sklearn")
    from sklearn.datasets import load_digits

    published, digits = load_digits(), opened("digits")
    target = {
        image.tobytes(): t for image, t in zip(published.images, published.target, strict=True)
    }
    for split in ("train", "test"):
        column, source = digits.condition("label", split), digits.load(split)
        assert column.names == tuple("0123456789")
        assert len(column.values) == len(source)
        for index in (0, 7, len(source) - 1):
            grey = np.rint(source.batch([index])[0, ..., 0] / 255 * 16).astype(np.float64)
            assert target[grey.tobytes()] == column.values[index]


@pytest.mark.parametrize("packed", [True, False])
def test_mnist(tmp_path, packed):
    data = bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 0, 9])
    name = "t10k-labels-idx1-ubyte"
    if packed:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    else:
        (tmp_path / name).write_bytes(data)
    mnist = opened("mnist", root=str(tmp_path))
    column = mnist.condition("label", "test")
    assert (column.values.tolist(), column.names) == ([7, 0, 9], tuple("0123456789"))
    with pytest.raises(DataError, match="train-labels-idx1-ubyte"):
        mnist.condition("label", "train")
    with pytest.raises(DataError, match="no 'age'"):
        mnist.condition("age", "test")


def test_cifar10_and_parquet(fixtures_folder):
    pytest.importorskip("pyarrow")
    root = str(fixtures_folder / "cifar10")
    cifar = opened("cifar10", root=root).condition("label", "test")
    assert cifar.names[3] == "cat"
    parquet = opened("parquet", root=root).condition("label", "test")
    np.testing.assert_array_equal(cifar.values, parquet.values)
    assert cifar.values.dtype == np.int64
    assert set(cifar.values) <= set(range(10))
    with pytest.raises(DataError, match="no column 'labels'"):
        opened("parquet", root=root).condition("labels", "test")


def test_rows_whose_images_are_left_out_are_left_out_of_the_labels(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    datasets = pytest.importorskip("datasets")
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    Image.fromarray(IMAGES[0, ..., 0]).save(tmp_path / "good.png")
    good = (tmp_path / "good.png").read_bytes()
    cells = [{"bytes": data, "path": None} for data in (good, b"damaged", good)]
    folder = tmp_path / "set"
    folder.mkdir()
    table = pyarrow.table({"image": cells, "label": ["b", "x", "a"], "age": [1.0, 2.0, None]})
    pq.write_table(table, folder / "train-00000-of-00001.parquet")
    for name, place in (("parquet", "root"), ("hub", "repository")):
        options = {place: str(folder), "skip_unreadable": True, "channels": 1, "test_fraction": 0}
        dataset = opened(name, **options)
        column = dataset.condition("label", "train")
        assert len(dataset.load("train")) == len(column.values) == 2
        assert [column.names[c] for c in column.values] == ["b", "a"]
        ages = dataset.condition("age", "train").values
        np.testing.assert_array_equal(ages, [[1.0], [np.nan]])


def test_hub_has_the_names_of_its_classes(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    features = datasets.Features(
        image=datasets.Image(), label=datasets.ClassLabel(names=["cat", "dog"])
    )
    rows = {"image": [Image.fromarray(x[..., 0]) for x in IMAGES], "label": [0, 1] * 3}
    (tmp_path / "set").mkdir()
    table = datasets.Dataset.from_dict(rows, features)
    table.to_parquet(tmp_path / "set" / "train-00000-of-00001.parquet")
    numbers = {image.tobytes(): number for number, image in enumerate(IMAGES)}
    for streaming in (False, True):
        options = {"repository": str(tmp_path / "set"), "channels": 1, "test_fraction": 0.4}
        hub = opened("hub", streaming=streaming, **options)
        for split in ("train", "test"):  # of which the one is held out of the other
            source, column = hub.load(split), hub.condition("label", split)
            shown = [numbers[x.tobytes()] for x in source.batch(np.arange(len(source)))]
            assert column.names == ("cat", "dog")
            np.testing.assert_array_equal(column.values, np.array([0, 1] * 3)[shown])
        with pytest.raises(DataError, match=r"no column 'lable'\. Did you mean 'label'"):
            hub.condition("lable", "train")


def test_image_folders(tmp_path):
    for number, place in enumerate(["train/dog", "train/cat", "test/cat"]):
        (tmp_path / place).mkdir(parents=True)
        Image.fromarray(IMAGES[number, ..., 0]).save(tmp_path / place / "1.png")
    folder = opened("image-folder", root=str(tmp_path), channels=1)
    for split in ("train", "test"):
        column = folder.condition("label", split)
        names = [path.parent.name for path in folder.files[split]]
        assert [column.names[c] for c in column.values] == names
    assert column.names == ("cat", "dog")
    shutil.copy(tmp_path / "train" / "dog" / "1.png", tmp_path / "train" / "2.png")
    with pytest.raises(DataError, match=r"2\.png lies in no folder of a class"):
        opened("image-folder", root=str(tmp_path), channels=1).condition("label", "train")


def write_grey(root, *names):
    for number, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[number, ..., 0]).save(root / name)


def test_folders_of_splits_are_no_classes(tmp_path):
    write_grey(tmp_path / "bare", "Training/0.png", "Test/0.png")
    bare = opened("image-folder", root=str(tmp_path / "bare"), channels=1)
    assert set(bare.splits) == {"train", "test"}
    with pytest.raises(DataError, match=r"0\.png lies in no folder of a class"):
        bare.condition("label", "train")
    names = [f"{kind}/{split}/0.png" for kind in ("cat", "dog") for split in ("train", "test")]
    write_grey(tmp_path / "inner", *names)
    inner = opened("image-folder", root=str(tmp_path / "inner"), channels=1)
    for split in ("train", "test"):
        column = inner.condition("label", split)
        assert (column.names, column.values.tolist()) == (("cat", "dog"), [0, 1])
    # With the splits of format 1, these are folders like any other.
    options = {"channels": 1, "split_by": "position", "test_fraction": 0}
    old = opened("image-folder", root=str(tmp_path / "bare"), **options)
    assert old.condition("label", "train").names == ("Test", "Training")


def texts_in_splits(tmp_path, monkeypatch):
    """Images with the texts of each split: as Parquet files, of the Hub, and in Python."""
    from hvae_core.data.python_objects import open_object
    from hvae_plugins.datasets.python import PythonConfig, PythonImages

    texts = {"train": "bac", "test": "dcb", "validation": "ce"}
    sources = {
        split: open_object((IMAGES[: len(t)], [*t]), (4, 4, 1)) for split, t in texts.items()
    }
    yield texts, PythonImages(PythonConfig(type="list", shape=(4, 4, 1)), sources)
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_grey(tmp_path, *(f"{number}.png" for number in range(3)))
    cells = [{"bytes": (tmp_path / f"{n}.png").read_bytes(), "path": None} for n in range(3)]
    (tmp_path / "set").mkdir()
    for split, t in texts.items():
        table = pyarrow.table({"image": cells[: len(t)], "label": [*t]})
        pq.write_table(table, tmp_path / "set" / f"{split}-00000-of-00001.parquet")
    yield texts, opened("parquet", root=str(tmp_path / "set"), channels=1)
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    yield texts, opened("hub", repository=str(tmp_path / "set"), channels=1)


def test_texts_are_the_same_classes_in_every_split(tmp_path, monkeypatch):
    kinds = 0
    for texts, dataset in texts_in_splits(tmp_path, monkeypatch):
        assert dataset.condition("label", "train").names == ("a", "b", "c")
        for split, text in texts.items():
            column = dataset.condition("label", split)
            assert [column.names[number] for number in column.values] == [*text]
            assert column.names == tuple("abc" if split == "train" else "abcde")
        kinds += 1
    assert kinds == 3


def test_a_split_without_the_column_says_nothing_of_classes(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_grey(tmp_path, "0.png")
    cells = [{"bytes": (tmp_path / "0.png").read_bytes(), "path": None}] * 2
    table = pyarrow.table({"image": cells, "label": ["b", "a"]})
    pq.write_table(table, tmp_path / "test.parquet")
    pq.write_table(pyarrow.table({"image": cells}), tmp_path / "train.parquet")
    parquet = opened("parquet", root=str(tmp_path), channels=1)
    column = parquet.condition("label", "test")
    assert (column.values.tolist(), column.names) == ([1, 0], ("a", "b"))
    with pytest.raises(DataError, match=r"train\.parquet has no column 'label'"):
        parquet.condition("label", "train")


def test_classes_that_a_model_knows_by_name_have_its_numbers():
    from hvae_core.config import parse_config
    from hvae_core.data import open_conditions
    from hvae_core.interfaces import ConditionColumn

    class Named:
        conditioned_on = "label"

        def __init__(self, values, names):
            self.column = ConditionColumn(np.array(values), tuple(names))

        def condition(self, name, split):
            return self.column

    condition = {"name": "label", "classes": 3, "names": ["a", "b", "c"]}
    values = parse_config({"model": {"condition": condition}}).model.condition_values
    for given, names, expected in (
        ([0, 1, 0], "bc", [1, 2, 1]),
        ([0, 1, 2], "cba", [2, 1, 0]),
        ([3, 0, 3], "cxyb", [1, 2, 1]),
        ([2, 0, 1], "", [2, 0, 1]),
        ([2, 0, 1], "a", [2, 0, 1]),
    ):
        encoded = open_conditions(values, Named(given, names), "test", 3).encoded
        assert (encoded.tolist(), encoded.dtype) == (expected, np.int32)
    with pytest.raises(DataError, match="calls class 0 'x'; the model calls it 'a'"):
        open_conditions(values, Named([0, 1, 1], "xa"), "test", 3)


def test_arrays(tmp_path):
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
    labels = np.arange(20)
    numbers = {image.tobytes(): number for number, image in enumerate(images)}
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=labels, age=labels / 2)
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "a.label.npy", labels)
    np.save(tmp_path / "a.age.npy", labels / 2)
    for file in ("keras.npz", "a.npy"):
        arrays = opened("arrays", files={"train": file}, root=str(tmp_path), test_fraction=0.2)
        for split in ("train", "test"):  # of which the one is held out of the other
            source = arrays.load(split)
            shown = [numbers[x.tobytes()] for x in source.batch(np.arange(len(source)))]
            np.testing.assert_array_equal(arrays.condition("label", split).values, shown)
            both = arrays.condition(("age", "label"), split)
            np.testing.assert_array_equal(both.values, np.stack([labels / 2, labels], 1)[shown])
    with pytest.raises(DataError, match=r"no .*a\.size\.npy"):
        arrays.condition("size", "train")


@pytest.mark.parametrize("test_fraction", [0.5, 0])
def test_arrays_that_do_not_fit_the_images_are_told(tmp_path, test_fraction):
    images = np.random.default_rng(1).integers(0, 256, (20, 4, 4, 1), dtype=np.uint8)
    np.save(tmp_path / "a.npy", images)
    columns = {
        "label": np.arange(10), "age": np.arange(20), "size": np.arange(21), "one": np.array(3),
        "word": np.array(["a"] * 20), "map": np.zeros((20, 4, 4)),
    }  # fmt: skip
    for name, column in columns.items():
        np.save(tmp_path / f"a.{name}.npy", column)
    np.savez(tmp_path / "b.npz", x_train=images, y_train=np.arange(30))
    options = {"root": str(tmp_path), "test_fraction": test_fraction}
    arrays = opened("arrays", files={"train": "a.npy"}, **options)
    for name, told in {
        "label": r"a\.label\.npy, which says the label of a\.npy's images, has 10 entries for 20",
        ("age", "size"): r"a\.size\.npy, which says the size of .* has 21 entries for 20 images",
        "one": r"a\.one\.npy, .* is a single value for 20 images",
        ("age", "word"): "The word of .*a.npy's images is <U1 of shape .* expected a number",
        ("age", "map"): r"The map of .* float64 of shape \[20, 4, 4\]; expected a number",
    }.items():
        with pytest.raises(DataError, match=told) as caught:
            arrays.condition(name, "train")
        assert caught.value.exit_code == 2
        assert caught.value.hint
    assert len(arrays.condition("map", "train").values) == len(arrays.load("train"))
    with pytest.raises(DataError, match=r"b\.npz, .* has 30 entries for 20 images"):
        opened("arrays", files={"train": "b.npz"}, **options).condition("label", "train")


def test_a_condition_of_any_data_set_has_an_entry_for_each_image():
    from hvae_core.config import parse_config
    from hvae_core.data import open_conditions
    from hvae_core.interfaces import ConditionColumn

    class Wrong:
        conditioned_on = "label"

        def __init__(self, values):
            self.values = values

        def condition(self, name, split):
            return ConditionColumn(self.values)

    condition = {"name": "label", "classes": 3}
    values = parse_config({"model": {"condition": condition}}).model.condition_values
    for wrong, told in ((np.arange(2), "has 2 entries"), (np.array(1), "is a single value")):
        with pytest.raises(DataError, match=f"'label' of the split 'test' {told} for 3 images"):
            open_conditions(values, Wrong(wrong), "test", 3)
    assert open_conditions(values, Wrong(np.arange(3)), "test", 3).encoded.tolist() == [0, 1, 2]


def test_pairs_in_python():
    from hvae_core.data.python_objects import open_object
    from hvae_plugins.datasets.python import PythonConfig, PythonImages

    def of(data):
        source = open_object(data, (4, 4, 1))
        return PythonImages(PythonConfig(type="list", shape=(4, 4, 1)), {"train": source})

    texts = [{"image": x, "label": t} for x, t in zip(IMAGES, "bababa", strict=True)]
    column = of(texts).condition("label", "train")
    assert [column.names[c] for c in column.values] == [*"bababa"]
    np.testing.assert_array_equal(
        of((IMAGES, np.arange(6))).condition("label", "train").values, np.arange(6)
    )
    with pytest.raises(DataError, match="Nothing called 'label' was given with the train images"):
        of(IMAGES).condition("label", "train")
