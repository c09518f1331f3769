from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from hvae_core.errors import HvaeError, WeightsError
from hvae_core.weights import (
    assign,
    load_weights,
    model_arrays,
    read_metadata,
    read_tensors,
    save_weights,
    weight_names,
    write_tensors,
)

pytestmark = pytest.mark.every_backend

NAMES = {"first.kernel", "first.bias", "norm.gamma", "norm.beta", "norm.moving_mean"} | {
    "norm.moving_variance",
    "last.kernel",
    "last.bias",
}


def make(width: int = 4, last: str = "last") -> Any:
    layers = [
        keras.layers.Dense(width, name="first"),
        keras.layers.BatchNormalization(name="norm"),
        keras.layers.Dropout(0.5, seed=1, name="dropout"),
        keras.layers.Dense(2, name=last),
    ]
    model = keras.Sequential(layers)
    model.build((None, 3))
    return model


@pytest.fixture
def model() -> Any:
    return make()


def test_names_are_paths_without_the_model_and_its_seeds(model: Any) -> None:
    assert set(weight_names(model)) == NAMES
    assert set(weight_names(make())) == NAMES


def test_what_is_saved_is_loaded(model: Any, tmp_path: Path) -> None:
    path = save_weights(model, tmp_path / "new" / "m.safetensors", {"preset": "x"})
    metadata = read_metadata(path)
    assert metadata["format"] == "hvae"
    assert metadata["preset"] == "x"
    assert "hvae_version" in metadata
    other = make()
    load_weights(other, path)
    for name, array in model_arrays(other).items():
        np.testing.assert_array_equal(array, model_arrays(model)[name])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_halves_the_file(model: Any, tmp_path: Path, dtype: str) -> None:
    path = save_weights(model, tmp_path / "m", dtype=dtype)
    other = make()
    load_weights(other, path)
    for name, array in model_arrays(other).items():
        assert array.dtype == np.float32
        np.testing.assert_allclose(array, model_arrays(model)[name], rtol=1e-2)


def test_another_dtype_is_refused(model: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="int8"):
        save_weights(model, tmp_path / "m", dtype="int8")


def test_all_faults_are_in_one_sentence_and_nothing_changes(model: Any) -> None:
    before = model_arrays(model)
    arrays = {name: array + 1 for name, array in before.items() if name != "last.bias"}
    arrays["extra"] = np.zeros(1)
    arrays["first.bias"] = np.zeros(5)
    with pytest.raises(WeightsError) as caught:
        assign(model, arrays, source="x.safetensors")
    assert caught.value.message.startswith("x.safetensors does not fit the model: ")
    assert "1 missing (last.bias)" in caught.value.message
    assert "1 unexpected (extra)" in caught.value.message
    assert "first.bias [5], expected [4]" in caught.value.message
    for name, array in model_arrays(model).items():
        np.testing.assert_array_equal(array, before[name])


def test_only_the_first_few_names_are_listed(model: Any) -> None:
    with pytest.raises(WeightsError, match=r"8 missing .* and 4 more"):
        assign(model, {})


def test_an_unbuilt_model() -> None:
    with pytest.raises(WeightsError, match="no weights yet"):
        weight_names(keras.Sequential([keras.layers.Dense(3)]))


def test_two_weights_of_one_name() -> None:
    class Twin(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.add_weight(shape=(1,), name="w")
            self.add_weight(shape=(1,), name="w")

    layer = Twin(name="twin")
    layer.build((None, 1))
    with pytest.raises(WeightsError, match="both named 'w'"):
        weight_names(layer)


def test_a_full_disk_keeps_the_older_file(
    model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save_weights(model, tmp_path / "m")
    before = read_tensors(path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(HvaeError, match="No space left on device") as caught:
        save_weights(make(), path)
    assert caught.value.exit_code == 1
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    for name, array in read_tensors(path).items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_or_asked_for(
    model: Any, tmp_path: Path, value: float
) -> None:
    arrays = model_arrays(model)
    arrays["first.kernel"] = arrays["first.kernel"].copy()
    arrays["first.kernel"][0, 0] = value
    path = write_tensors(arrays, tmp_path / "m.safetensors")
    before = model_arrays(model)
    with pytest.raises(WeightsError, match=r"NaN or infinite \(first\.kernel 1 of 12\)"):
        load_weights(model, path)
    np.testing.assert_array_equal(model_arrays(model)["first.kernel"], before["first.kernel"])
    load_weights(model, path, allow_nonfinite=True)
    np.testing.assert_array_equal(model_arrays(model)["first.kernel"], arrays["first.kernel"])


@pytest.mark.parametrize("kind", ["int32", "bool", "uint8", "int64"])
def test_weights_that_are_no_floats_are_refused(model: Any, kind: str) -> None:
    arrays = model_arrays(model)
    arrays["last.bias"] = arrays["last.bias"].astype(kind)
    with pytest.raises(WeightsError, match=rf"last\.bias {kind}, expected float32"):
        assign(model, arrays)
