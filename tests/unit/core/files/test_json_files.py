from __future__ import annotations

from pathlib import Path

import pytest

from hvae_core.errors import BadInputError
from hvae_core.files.json_files import MAX_BYTES, read_object


def test_an_object_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, "ä"]}', encoding="utf-8")
    assert read_object(tmp_path / "a.json", BadInputError) == {"a": [1, "ä"]}


def test_a_file_of_the_largest_size_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b" " * (MAX_BYTES - 2) + b"{}")
    assert read_object(tmp_path / "a.json", BadInputError) == {}
    with pytest.raises(BadInputError, match="has more than 9 bytes"):
        read_object(tmp_path / "a.json", BadInputError, most=9)


@pytest.mark.parametrize(
    ("raw", "match"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b'{"a": "\xff"}', "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "not valid JSON"),
        (b"[1]", "holds no keys"),
        (b"null", "holds no keys"),
        (b" " * (MAX_BYTES - 1) + b"{}", "has more than 1,048,576 bytes"),
        (None, "Cannot read .* No such file"),
    ],
)
def test_whatever_is_wrong_is_one_sentence_with_the_file(
    tmp_path: Path, raw: bytes | None, match: str
) -> None:
    path = tmp_path / "a.json"
    if raw is not None:
        path.write_bytes(raw)
    with pytest.raises(BadInputError, match=match) as caught:
        read_object(path, BadInputError, "Mend it.")
    assert str(path) in caught.value.message
    assert caught.value.hint == "Mend it."
