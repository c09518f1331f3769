"""How a pulled preset says to be pulled again; `test_hub` and `test_pulling` follow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hvae_core.zoo.origin import note_origin, pull_again, read_origin


@pytest.mark.parametrize(
    ("origin", "name", "has_sources", "source"),
    [
        ("hf://o/n", "hf--o--n", False, "hf://o/n"),
        ("hf://o/n@v1/a", "hf--o--n@v1--a", True, "hf://o/n@v1/a"),
        ("https://h/a/mine", "mine", False, "https://h/a/mine"),
        ("file:///x/mine", "mine", False, "file:///x/mine"),
        ("file:///x/a%20folder", "mine", False, "'/x/a folder'"),
        # the weights alone came from elsewhere
        ("https://h/mine/model.safetensors", "mine", False, "mine"),
        ("file:///x/mine/model.safetensors", "mine", False, "mine"),
        ("https://h/original.th", "mine", True, "mine"),
        ("hf://o/weights", "mine", True, "mine"),
        # damaged, or of an older version
        ("", "mine", True, "mine"),
        ("hf://o", "mine", True, "mine"),
        ("https://[", "mine", True, "mine"),
        ("", "mine", False, "ADDRESS"),
        ("", "hf--o--n@v1", True, "ADDRESS"),
    ],
)
def test_what_pulls_it_again(
    tmp_path: Path, origin: str, name: str, has_sources: bool, source: str
) -> None:
    if origin:
        note_origin(tmp_path, origin)
    assert pull_again(tmp_path, name, has_sources) == f"hvae zoo pull {source} --force"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"source"', "[" * 100_000])
def test_a_damaged_note(tmp_path: Path, content: str) -> None:
    (tmp_path / "origin.json").write_text(content)
    assert read_origin(tmp_path) == "an unknown place"
