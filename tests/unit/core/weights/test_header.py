from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from hvae_core.errors import WeightsError
from hvae_core.weights import read_header, read_tensors, write_tensors
from hvae_core.weights.header import copy_weights

ARRAYS = {
    "b.kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "a.bias": np.array([1.5, -2.0], np.float64),
    "step": np.array(7, np.int32),
    "empty": np.zeros((0, 4), np.float32),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_tensors(ARRAYS, tmp_path / "model.safetensors", {"z": "1", "a": "2"})


def test_header_says_what_was_written(path: Path) -> None:
    header = read_header(path)
    assert header.metadata == {"a": "2", "z": "1"}
    assert header.tensors["b.kernel"].shape == (2, 3)
    assert header.parameters == 9


def test_a_copy_has_the_same_tensors_and_more_metadata(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.safetensors"
    copy_weights(path, copy, preset="a name of some length", a="3")
    assert read_header(copy).metadata == {"a": "3", "z": "1", "preset": "a name of some length"}
    tensors = safetensors.numpy.load_file(copy)
    assert set(tensors) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert tensors[name].tobytes() == array.tobytes()
        assert tensors[name].dtype == array.dtype


@pytest.mark.parametrize("kept", [0, 5, 8, 40, -1])
def test_truncated(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=r"cut short|not a safetensors") as caught:
        read_tensors(path)
    assert str(path) in caught.value.message


def test_bytes_after_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(WeightsError, match="1 bytes after"):
        read_header(path)


def header_bytes(content: object) -> bytes:
    text = json.dumps(content).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + b"\x00" * 100,
        b"\x80\x04\x95" * 50,
        (2**40).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"{,,}",
        header_bytes([1, 2]),
        header_bytes({"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}) + b"0000",
        header_bytes({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}) + b"0000",
        header_bytes({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [4, 0]}}) + b"0000",
        header_bytes({"a": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}) + b"0000",
        header_bytes({"a": 3}),
    ],
)
def test_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_header(path)


def tensor(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("tensors", "named"),
    [
        ({"a": tensor(0, 8), "b": tensor(4, 8)}, "'b'"),
        ({"a": tensor(0, 8), "b": tensor(0, 8)}, "'b'"),
        ({"a": tensor(4, 8)}, "'a'"),
        ({"a": tensor(0, 2), "b": tensor(4, 8)}, "'b'"),
    ],
)
def test_tensors_that_overlap_or_leave_gaps(
    tensors: dict[str, object], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(header_bytes(tensors) + bytes(8))
    with pytest.raises(WeightsError, match=f"{named} begins at byte .* overlap or leave gaps"):
        read_tensors(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="No such file"):
        read_header(tmp_path / "none")


def test_the_safetensors_package_reads_ours_and_we_read_its(path: Path, tmp_path: Path) -> None:
    theirs = safetensors.numpy.load_file(path)
    assert set(theirs) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(theirs[name], array)
        assert theirs[name].dtype == array.dtype
    safetensors.numpy.save_file(ARRAYS, tmp_path / "theirs", {"k": "v"})
    ours = read_tensors(tmp_path / "theirs")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(ours[name], array)
        assert ours[name].shape == array.shape


def test_equal_arrays_make_an_equal_file(path: Path, tmp_path: Path) -> None:
    other = write_tensors(dict(reversed(ARRAYS.items())), tmp_path / "b", {"a": "2", "z": "1"})
    assert other.read_bytes() == path.read_bytes()


def test_half_precision_comes_as_float32(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([1.0, -0.5, 3.25], np.float32)
    path = write_tensors(
        {"h": values.astype(np.float16), "b": values.astype(ml_dtypes.bfloat16)}, tmp_path / "x"
    )
    assert {entry.dtype for entry in read_header(path).tensors.values()} == {"F16", "BF16"}
    for array in read_tensors(path).values():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, values)


def test_a_dtype_the_format_lacks(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="complex64"):
        write_tensors({"c": np.zeros(2, np.complex64)}, tmp_path / "x")
    assert not list(tmp_path.iterdir())
