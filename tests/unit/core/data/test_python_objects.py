"""Every kind of object gives the same images as the array it is made of."""

import numpy as np
import pytest
from PIL import Image

from hvae_core.data import python_objects
from hvae_core.data.python_objects import open_object
from hvae_core.errors import DataError
from hvae_core.interfaces import UINT8, ImageValues

SHAPE = (4, 6, 3)
IMAGES = np.random.default_rng(0).integers(0, 256, (40, *SHAPE), dtype=np.uint8)
LABELS = np.arange(40)


class Items:
    """The least that is needed."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def generator():
    yield from zip(IMAGES, LABELS, strict=True)


def memory_mapped(kind):
    def make(tmp_path):
        path = tmp_path / "images.npy"
        np.save(path, IMAGES.astype(kind))
        return np.load(path, mmap_mode="r")

    return make


def from_torch(make):
    def with_package(_):
        torch = pytest.importorskip("torch")
        return make(torch, torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).copy()))

    return with_package


def counted(torch):
    class Counted(torch.utils.data.IterableDataset):
        def __len__(self):
            return len(IMAGES)

        def __iter__(self):
            return generator()

    return Counted()


def from_tensorflow(make):
    def with_package(_):
        tensorflow = pytest.importorskip("tensorflow")
        return make(tensorflow.data.Dataset.from_tensor_slices((IMAGES, LABELS)))

    return with_package


def tensorflow_tensor(_):
    return pytest.importorskip("tensorflow").constant(IMAGES)


def jax_array(_):
    return pytest.importorskip("jax").numpy.asarray(IMAGES / np.float32(255))


def keras_py_dataset(_):
    keras = pytest.importorskip("keras")

    class Batched(keras.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return IMAGES[7 * index : 7 * index + 7], LABELS[7 * index : 7 * index + 7]

    return Batched()


def grain_set(make):
    def with_package(_):
        return make(pytest.importorskip("grain").MapDataset.source(IMAGES))

    return with_package


def hugging_face(make):
    def with_package(_):
        datasets = pytest.importorskip("datasets")
        rows = {"label": LABELS, "image": [Image.fromarray(image) for image in IMAGES]}
        features = datasets.Features(image=datasets.Image(), label=datasets.Value("int64"))
        return make(datasets.Dataset.from_dict(rows, features))

    return with_package


BACKENDS = pytest.mark.every_backend
KINDS = {
    "array": lambda _: IMAGES,
    "pair": lambda _: (IMAGES, LABELS),
    "float array": lambda _: IMAGES / 255,
    "channels first": lambda _: IMAGES.transpose(0, 3, 1, 2),
    "memory map": memory_mapped(np.uint8),
    "memory map of floats": memory_mapped(np.float32),
    "least": lambda _: Items(IMAGES),
    "list of Pillow images": lambda _: [Image.fromarray(image) for image in IMAGES],
    "mappings": lambda _: Items([{"label": 0, "image": image} for image in IMAGES]),
    "generator": lambda _: generator(),
    "torch tensor": from_torch(lambda torch, x: x),
    "torch floats with gradient": from_torch(lambda torch, x: (x / 255).requires_grad_()),
    "torch Dataset": from_torch(lambda torch, x: torch.utils.data.TensorDataset(x / 255, x)),
    "torch Subset": from_torch(
        lambda torch, x: torch.utils.data.Subset(torch.utils.data.TensorDataset(x), range(40))
    ),
    "torch DataLoader": from_torch(
        lambda torch, x: torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(x, x), batch_size=7
        )
    ),
    "torch IterableDataset with a length": from_torch(lambda torch, x: counted(torch)),
    "tensorflow tensor": tensorflow_tensor,
    "tf.data": from_tensorflow(lambda data: data),
    "tf.data in batches": from_tensorflow(lambda data: data.batch(7).prefetch(1)),
    "jax array": jax_array,
    "PyDataset": keras_py_dataset,
    "grain": grain_set(lambda data: data),
    "grain in batches": grain_set(lambda data: data.batch(7)),
    "grain, iterable": grain_set(lambda data: data.to_iter_dataset()),
    "datasets": hugging_face(lambda data: data),
    "datasets as arrays": hugging_face(lambda data: data.with_format("numpy")),
    "datasets, a column": hugging_face(lambda data: data["image"]),
    "datasets, iterable": hugging_face(lambda data: data.to_iterable_dataset()),
}
#: those of a package that no environment with PyTorch has
OF_BACKENDS = {"tensorflow tensor", "tf.data", "tf.data in batches", "jax array"}


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=BACKENDS) if k in OF_BACKENDS else k for k in KINDS]
)
def test_every_kind_gives_its_images_by_index(kind, tmp_path):
    source = open_object(KINDS[kind](tmp_path), SHAPE)
    assert (len(source), source.shape) == (40, SHAPE)
    chosen = np.array([39, 0, 7, 0])
    batch = source.batch(chosen)
    assert batch.dtype == np.uint8
    np.testing.assert_array_equal(batch, IMAGES[chosen])
    batch[:] = 0
    np.testing.assert_array_equal(source.batch(np.arange(40)), IMAGES)
    assert source.batch(np.array([], int)).shape == (0, *SHAPE)


LABELLED = {
    *(
        "pair",
        "pair with gradients",
        "torch IterableDataset with a length",
        "PyDataset",
        "datasets",
        "datasets as arrays",
        "datasets, iterable",
    ),
    *("labelled items", "labelled mappings"),
}
KINDS["pair with gradients"] = from_torch(
    lambda torch, x: (x, torch.arange(40.0, requires_grad=True))
)
KINDS["labelled items"] = lambda _: Items([*zip(IMAGES, LABELS, strict=True)])
KINDS["labelled mappings"] = lambda _: Items(
    [{"x": x, "y": y} for x, y in zip(IMAGES, LABELS, strict=True)]
)


@pytest.mark.parametrize("kind", sorted(LABELLED))
def test_labels_come_with_their_images(kind, tmp_path):
    labels = open_object(KINDS[kind](tmp_path), SHAPE).labels
    np.testing.assert_array_equal(labels, LABELS)


def test_items_without_labels_have_none():
    for data in (Items(IMAGES), Items([(x, x) for x in IMAGES]), iter(list(IMAGES)), IMAGES):
        assert open_object(data, SHAPE).labels is None


@pytest.mark.parametrize("make", [lambda x: x, Items, iter], ids=["array", "by index", "iterated"])
def test_an_image_of_zeros_and_ones_among_others_keeps_its_values(make):
    grey = np.stack([np.eye(4), np.arange(16).reshape(4, 4)]).astype(np.float32)
    source = open_object(make(grey), (4, 4, 1))
    np.testing.assert_array_equal(source.batch(np.arange(2))[..., 0], grey)
    source = open_object(make(np.stack([grey[0], grey[1] / 255])), (4, 4, 1))
    np.testing.assert_array_equal(source.batch(np.array([0]))[0, ..., 0], 255 * np.eye(4))


class Shuffled:
    def __iter__(self):
        yield from np.random.default_rng().permutation(IMAGES)


def augmented():
    torch = pytest.importorskip("torch")

    class Augmented(torch.utils.data.Dataset):
        def __len__(self):
            return 40

        def __getitem__(self, index):
            return IMAGES[index][:, :: np.random.default_rng().choice([-1, 1])]

    return Augmented()


class Unusable(Items):
    def __array__(self, dtype=None, copy=None):
        raise TypeError("of no type that NumPy has")


class Unfinished(Items):
    def __getitem__(self, index):
        raise NotImplementedError


class Endless(Items):
    def __len__(self):
        return 2**62


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: 7, "dataset is of type int; expected a NumPy array"),
        (lambda: "cifar10.npy", "type str; .* data sets arrays"),
        (lambda: IMAGES[0], r"has shape \[4, 6, 3\]; the model needs images \[B, 4, 6, 3\]"),
        (lambda: Items(IMAGES[:, :3]), r"dataset\[0\] has shape \[3, 6, 3\]"),
        (lambda: IMAGES[:0], "dataset has no images"),
        (list, "dataset has no images"),
        (lambda: iter([]), "dataset has no images"),
        (lambda: (IMAGES, LABELS[:-1]), "pair of 40 images and 39 labels"),
        (lambda: (IMAGES, [[1], [1, 2]] * 20), "labels are lists of several lengths"),
        (lambda: (IMAGES, np.array(3)), "pair of 40 images and no labels"),
        (lambda: (IMAGES, Unusable(LABELS)), "labels are of type Unusable, which is no array"),
        (lambda: (np.array(3), LABELS), r"dataset has shape \[\]"),
        (lambda: Unfinished(IMAGES), r"dataset\[0\] cannot be had \(NotImplementedError"),
        (lambda: (IMAGES, LABELS, LABELS), "tuple of 3; expected a pair"),
        (lambda: ((IMAGES, LABELS), (IMAGES, LABELS)), "several splits by name"),
        (lambda: Items({"a": IMAGES[0]}), r"dataset\[0\] cannot be had \(KeyError: 0\)"),
        (lambda: IMAGES.astype(np.float32) - 1, "float32 values from -1 to 254"),
        (lambda: Shuffled(), "another order"),
        (augmented, "gives other images each time"),
        (lambda: Endless(IMAGES), "without end"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_sentence(make, sentence):
    with pytest.raises(DataError, match=sentence):
        open_object(make(), SHAPE)


@pytest.mark.parametrize("values", [UINT8, ImageValues.of_bits(16)], ids=str)
def test_a_file_that_is_mapped_to_memory_stays_there(values, tmp_path):
    images = memory_mapped(values.dtype)(tmp_path)
    source = open_object(images, SHAPE, values=values)
    assert isinstance(source.images, np.memmap)
    np.testing.assert_array_equal(source.batch(np.arange(40)), IMAGES)
    late = np.ones((1030, *SHAPE), np.uint8)
    late[-1] = 200
    np.save(tmp_path / "late.npy", late)
    assert len(open_object(np.load(tmp_path / "late.npy", mmap_mode="r"), SHAPE)) == 1030


def test_a_fault_that_comes_up_later_names_the_item():
    items = [*IMAGES, IMAGES[0] + 0.5]
    source = open_object(Items([*items, IMAGES[0]]), SHAPE)
    with pytest.raises(DataError, match=r"dataset\[40\] holds float64"):
        source.batch(np.array([3, 40]))


def test_what_has_to_be_read_into_memory_has_a_bound(monkeypatch):
    monkeypatch.setattr(python_objects, "MEMORY", 30 * 72)
    assert len(open_object(iter(IMAGES[:30]), SHAPE)) == 30
    with pytest.raises(DataError, match="more than the 30 images of 4x6"):
        open_object(iter(IMAGES), SHAPE)


@pytest.mark.every_backend
def test_a_repeated_tf_data_set_is_refused_at_once():
    tensorflow = pytest.importorskip("tensorflow")
    repeated = tensorflow.data.Dataset.from_tensor_slices(IMAGES).repeat()
    with pytest.raises(DataError, match="without end"):
        open_object(repeated, SHAPE)


def test_an_object_is_read_by_one_thread_at_a_time():
    """It may have one open file, in which two readers would move each other's place."""
    import threading
    import time

    class OneFile:
        place = 0

        def __len__(self):
            return 20

        def __getitem__(self, index):
            self.place = index
            time.sleep(1e-3)
            return np.full((4, 4, 1), self.place, np.uint8)

    data, wrong = OneFile(), []
    sources = [open_object(data, (4, 4, 1)) for _ in range(2)]  # as of two splits

    def read(source, indices):
        for index in indices:
            wrong.extend(source.batch([index])[:, 0, 0, 0] - index)

    threads = [
        threading.Thread(target=read, args=(source, range(start, 20, 2)))
        for start, source in enumerate(sources)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [0] * 20
