from __future__ import annotations

import errno
import json
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from hvae_core.errors import HvaeError, WeightsError
from hvae_core.weights import copy_weights, read_header, read_tensors, tensors, write_tensors

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


@pytest.mark.parametrize("metadata", ["null", "{}", '{"a": "2"}'])
def test_a_file_of_another_writer_is_copied_whatever_its_metadata(
    tmp_path: Path, metadata: str
) -> None:
    header = f'{{"__metadata__":{metadata},"w":{{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}}}'
    theirs, copy = tmp_path / "theirs.safetensors", tmp_path / "copy.safetensors"
    theirs.write_bytes(len(header).to_bytes(8, "little") + header.encode() + b"ab")
    copy_weights(theirs, copy, preset="name")
    assert read_header(copy).metadata["preset"] == "name"
    assert read_tensors(copy)["w"].tobytes() == b"ab"


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


NESTED = b'{"a":' + b"[" * 100_000


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + b"\x00" * 100,
        b"\x80\x04\x95" * 50,
        (2**40).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"{,,}",
        header_bytes([1, 2]),
        header_bytes({"a": 3}),
        header_bytes({"a": {"dtype": "F32", "shape": [1], "data_offsets": ["0", "4"]}}) + b"0000",
        (len(NESTED) + 8).to_bytes(8, "little") + NESTED + b"        ",
    ],
)
def test_no_safetensors_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_header(path)


def tensor(begin: int, end: int) -> dict[str, object]:
    return {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}


def tensor_of(name: str, size: int) -> dict[str, object]:
    return {name: tensor(0, size)}


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        ({"a": tensor(0, 8), "b": tensor(4, 8)}, "b"),
        ({"a": tensor(0, 8), "b": tensor(0, 8)}, "[ab]"),
        ({"a": tensor(4, 8)}, "a"),
        ({"a": tensor(0, 2), "b": tensor(4, 8)}, "b"),
    ],
)
def test_tensors_that_overlap_or_leave_gaps(
    entries: dict[str, object], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(header_bytes(entries) + bytes(8))
    with pytest.raises(WeightsError, match=rf"damaged: .*\b{named}\b.* overlap or leave gaps"):
        read_tensors(path)


def entry(dtype: str, shape: list[int], begin: int, end: int) -> dict[str, object]:
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


@pytest.mark.parametrize(
    "content",
    [
        entry("F99", [1], 0, 4),
        entry("F32", [2], 0, 4),
        entry("F32", [0], 0, 4),
        entry("F32", [-1], 4, 0) | tensor_of("b", 4),
        entry("F32", [1], -4, 4),
        entry("F32", [2**62, 2**62], 0, 4),
    ],
)
def test_tensors_that_do_not_fit_their_shape(tmp_path: Path, content: object) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(header_bytes(content) + b"0000")
    with pytest.raises(WeightsError, match=r"is damaged: .* fit their shapes"):
        read_tensors(path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (entry("F32", [0, 2**62, 2**62], 0, 0) | tensor_of("b", 4), "no weight has"),
        (entry("F32", [0, 2**61], 0, 0) | tensor_of("b", 4), "no weight has"),
        (entry("F32", [1] * 33, 0, 4), "33 axes"),
        (entry("F8_E4M3", [4], 0, 4), "dtype F8_E4M3"),
    ],
)
def test_shapes_and_dtypes_of_no_weight(tmp_path: Path, content: object, match: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(header_bytes(content) + b"0000")
    for read in (read_header, read_tensors):
        with pytest.raises(WeightsError, match=match):
            read(path)


def test_a_header_of_a_million_tensors_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with path.open("wb") as file:
        file.write((tensors.MAX_HEADER_BYTES + 1).to_bytes(8, "little") + b"{")
        file.truncate(tensors.MAX_HEADER_BYTES + 9)
    with pytest.raises(WeightsError, match="not a safetensors file"):
        read_header(path)


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
    other = write_tensors(dict(reversed(ARRAYS.items())), tmp_path / "b", {"z": "1", "a": "2"})
    assert other.read_bytes() == path.read_bytes()


def test_equal_metadata_make_an_equal_file_whatever_order_the_library_gives_them(
    tmp_path: Path,
) -> None:
    metadata = {f"{letter}é\n\x01/": f'"{letter}"' for letter in "fbadec"}
    contents = {write_tensors(ARRAYS, tmp_path / "x", metadata).read_bytes() for _ in range(10)}
    assert len(contents) == 1
    header = read_header(tmp_path / "x")
    assert header.metadata == metadata
    assert list(json.loads(contents.pop()[8:].partition(b"},")[0] + b"}}")["__metadata__"]) == (
        sorted(metadata)
    )
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read_tensors(tmp_path / "x")[name], array)


def test_strided_and_big_endian_arrays_are_written_as_they_are_seen(tmp_path: Path) -> None:
    square = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {
        "transposed": square.T,
        "strided": square[:, ::2],
        "big": np.arange(3, dtype=">f4"),
        "scalar": np.array(5, ">i8"),
        "fortran": np.asfortranarray(square),
    }
    read = read_tensors(write_tensors(arrays, tmp_path / "x"))
    for name, array in arrays.items():
        np.testing.assert_array_equal(read[name], array)
        assert read[name].shape == array.shape


def test_what_is_read_may_be_written_to(path: Path) -> None:
    for array in read_tensors(path).values():
        array += 1


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


def test_a_weights_file_may_be_read_by_whoever_may_read_others(path: Path) -> None:
    plain = path.with_name("plain")
    plain.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.parametrize(
    "text",
    [
        "Error while serializing: I/O error: No space left on device (os error 28)",
        'Error while serializing: IoError(Os { code: 28, kind: StorageFull, message: "No space" })',
    ],
)
def test_a_disk_that_is_full_while_the_library_writes(
    path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise safetensors.SafetensorError(text)

    before = path.read_bytes()
    assert errno.ENOSPC == 28
    monkeypatch.setattr(safetensors.numpy, "save_file", full)
    with pytest.raises(HvaeError, match=r"Cannot write .*: No space left on device") as caught:
        write_tensors(ARRAYS, path)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(HvaeError, match="Cannot write"):
        write_tensors(ARRAYS, tmp_path / "file" / "x")
