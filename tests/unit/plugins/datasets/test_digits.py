import sys

import numpy as np
import pytest

from hvae_core.data import evaluation_batches
from hvae_core.errors import DataError, MissingDependencyError
from hvae_plugins.datasets.digits import Digits, DigitsConfig


def test_levels_and_split():
    datasets = pytest.importorskip("sklearn.datasets")
    dataset = Digits(DigitsConfig())
    train, test = dataset.load("train"), dataset.load("test")
    assert (len(train), len(test)) == (1437, 360)
    assert train.shape == dataset.shape == (8, 8, 1)
    assert set(np.unique(train.images)) == {round(255 * k / 16) for k in range(17)}

    def key(images):
        return sorted(image.tobytes() for image in images)

    original = np.rint(datasets.load_digits().images * 255 / 16).astype(np.uint8)
    assert key([*train.images, *test.images]) == key(original)
    np.testing.assert_array_equal(test.images, dataset.load("test").images)


def test_dynamic_binarization_can_be_repeated():
    pytest.importorskip("sklearn")
    dataset = Digits(DigitsConfig(binarization="dynamic"))
    source = dataset.load("test")
    one, two = (
        np.concatenate([batch.images for batch in evaluation_batches(source, dataset, 100)])
        for _ in range(2)
    )
    np.testing.assert_array_equal(one, two)
    assert set(np.unique(one)) == {0, 255}


def test_an_unknown_split():
    with pytest.raises(DataError, match="no split 'tset'") as caught:
        Digits(DigitsConfig()).load("tset")
    assert "'test'" in caught.value.hint


def test_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(MissingDependencyError, match="scikit-learn") as caught:
        Digits(DigitsConfig()).load("train")
    assert "hvae[datasets]" in caught.value.hint
