from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from hvae_core.errors import BadInputError, ConfigError, HvaeError, PresetError
from hvae_core.files import yaml_files
from hvae_core.files.yaml_files import (
    MAX_BYTES,
    MAX_DEPTH,
    dump_yaml,
    parse_yaml,
    read_mapping,
)

BOMB = "a0: &a0 [1, 1]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9)
)
#: each alias is only one deeper than the one before
LADDER = "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 100))
MERGES = "a0: &a0 {k: 1}\n" + "".join(
    f"a{i}: &a{i} {{<<: [{', '.join([f'*a{i - 1}'] * 9)}]}}\n" for i in range(1, 9)
)

MALFORMED = {
    "an unclosed list": ("a: 1\nb: [1,\n", 3, "expected the node content"),
    "a tab": ("a: 1\n\tb: 2", 2, "cannot start any token"),
    "a date that is none": ("a: 1\nb: 2020-99-99", 2, "'2020-99-99' is no timestamp"),
    "a word as a date": ("a: !!timestamp abc", 1, "'abc' is no timestamp"),
    "a word as a whole number": ("a: 1\nb: !!int abc", 2, "'abc' is no int"),
    "nothing as a whole number": ("a: !!int ''", 1, "'' is no int"),
    "a word as a number": ("a: !!float abc", 1, "'abc' is no float"),
    "a word as a truth": ("a: 1\n\nb: !!bool abc", 3, "'abc' is no bool"),
    "a truth in a key": ("!!bool abc: 1", 1, "'abc' is no bool"),
    "a list as a number": ("a: !!int [1]", 1, "expected a scalar node"),
    "base64 that is none": ("a: !!binary x", 1, "failed to decode base64"),
    "too many digits": (f"a: 1\nb: {'9' * 5_000}", 2, "more than 400 digits"),
    "too many hexadecimal digits": (f"a: 0x{'f' * 5_000}", 1, "more than 400 digits"),
    "too many digits to the base 60": ("a: 1" + ":59" * 300, 1, "more than 400 digits"),
    "brackets": ("a: 1\nb: " + "[" * 5_000, 2, "inside each other"),
    "brackets on lines": ("a: " + "[\n " * 5_000, 40, "inside each other"),
    "closed brackets": ("a: " + "[" * 50 + "]" * 50, 1, "inside each other"),
    "braces": ("{a: " * 5_000, 1, "inside each other"),
    "indentation": ("".join(" " * i + "a:\n" for i in range(200)), None, "inside each other"),
    "dashes": ("- " * 5_000 + "1", 1, "inside each other"),
    "aliases of aliases": (LADDER, None, "inside each other"),
    "a bomb": (BOMB, None, "more than 20000 values"),
    "a bomb of merged keys": (MERGES, None, "more than 20000 values"),
    "too many bytes": ("#" * (MAX_BYTES + 1), None, f"more than {MAX_BYTES} bytes"),
    "a value inside itself": ("b: 1\na: &a [*a]", 2, "contains itself"),
    "a mapping merged into itself": ("b: 1\na: &a {<<: *a}", 2, "contains itself"),
    "an unknown alias": ("a: 1\nb: *c", 2, "undefined alias"),
    "a key given twice": ("a: 1\nb: 2\na: 3", 3, "'a' is given twice"),
    "a key given twice, once in quotes": ('a: 1\n"a": 3', 2, "'a' is given twice"),
    "a number given twice as a key": ("1: 1\n0x1: 3", 2, "1 is given twice"),
    "a key given twice further down": ("a:\n  b: 1\n  b: 2", 3, "'b' is given twice"),
    "a list as a key": ("a: 1\n? [b, c]\n: 2", 2, "a key is a list or a mapping"),
    "a mapping as a key": ("a: 1\n{b: c}: 2", 2, "a key is a list or a mapping"),
    "code": ("a: !!python/object/apply:os.abort []", 1, "could not determine a constructor"),
    "a name of Python's": ("a: !!python/name:os.system", 1, "could not determine a constructor"),
    "two documents": ("a: 1\n---\nb: 1", 2, "but found another document"),
    "a control character": ("a: 1\nb: \x07", 2, "the character 0x7"),
    "an emphasis that is an alias": ("a: **bold**", 1, ""),
    "a merge of a number": ("a: 1\nb: {<<: 3}", 2, "expected a mapping"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_whatever_is_wrong_is_one_sentence_with_file_and_line(tmp_path: Path, case: str) -> None:
    text, line, match = MALFORMED[case]
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_mapping(path, ConfigError)
    message = caught.value.message
    assert message.startswith(f"{path} line {line} is not valid YAML: " if line else str(path))
    assert match in message
    assert "\n" not in message
    assert len(message) < 500


def test_a_long_list_is_refused_before_it_is_read_to_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml_files, "MAX_VALUES", 100)
    with pytest.raises(BadInputError, match="more than 100 values"):
        parse_yaml("[" + "1," * 1_000, "x", BadInputError)


def test_a_malformed_text_is_one_sentence_with_its_name() -> None:
    with pytest.raises(BadInputError) as caught:
        parse_yaml("[1, !!int abc]", "The text", BadInputError, "Mend it.")
    assert caught.value.message == "The text is not valid YAML: 'abc' is no int."
    assert caught.value.hint == "Mend it."


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ("a: 1\nb: ä".encode("latin-1"), 2),
        (b"a: 1\nb: 2\nc: \xed\xa0\x80", 3),
        ("a: 1".encode("utf-16"), 1),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), 1),
    ],
)
def test_other_encodings(tmp_path: Path, raw: bytes, line: int) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(raw)
    with pytest.raises(PresetError, match=rf"line {line} is not valid YAML: it is no UTF-8"):
        read_mapping(path, PresetError)


def test_an_argument_that_is_no_text() -> None:
    with pytest.raises(BadInputError, match="no UTF-8"):
        parse_yaml("\udcff", "x", BadInputError)


def test_files_that_are_no_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Cannot read .*none.* No such file"):
        read_mapping(tmp_path / "none.yaml", ConfigError)
    with pytest.raises(ConfigError, match=r"Cannot read .* directory"):
        read_mapping(tmp_path, ConfigError)


@pytest.mark.parametrize(("text", "found"), [("- 1", "a list"), ("3", "a single value")])
def test_a_file_without_keys(tmp_path: Path, text: str, found: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(HvaeError, match=f"holds {found}"):
        read_mapping(tmp_path / "a.yaml", HvaeError)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "~"])
def test_an_empty_file_has_no_keys(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    assert read_mapping(tmp_path / "a.yaml", ConfigError) == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("3", 3),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("{a: {b: ~, c: true}}", {"a": {"b": None, "c": True}}),
        ("1e-3", "1e-3"),  # YAML 1.1: a number needs its dot
        ("1.0e-3", 1e-3),
        ("0x10", 16),
        ("2020-02-29", datetime.date(2020, 2, 29)),
        ("\ufeffa: ä", {"a": "ä"}),
        ("9" * 400, int("9" * 400)),
        ("{base: &b {x: 1, y: 2}, more: {<<: *b, y: 3}}",
         {"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}}),
        ("{a: {b: &b {<<: {k: 1}, k: 2}}, c: {<<: *b}}", ...),
        ("[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1), ...),
    ],
)  # fmt: skip
def test_what_is_valid_is_read_as_yaml_says(text: str, value: Any) -> None:
    read = parse_yaml(text, "x", BadInputError)
    assert read == (yaml.safe_load(text) if value is ... else value)


@pytest.mark.parametrize("inline", ["lists", "leaves", None])
def test_what_is_written_reads_back(inline: Any) -> None:
    values = {"z": [1, [2, 3]], "a": {"name": "schön", "empty": {}, "none": None}, "x": "1e-3"}
    text = dump_yaml(values, inline=inline)
    assert parse_yaml(text, "x", BadInputError) == values
    assert list(yaml.safe_load(text)) == list(values)
    assert "schön" in text


def test_what_stands_on_one_line() -> None:
    values = {"width": [8, 16], "flow": {"name": "planar"}}
    assert dump_yaml(values) == "width: [8, 16]\nflow:\n  name: planar\n"
    assert dump_yaml(values, inline="leaves") == "width: [8, 16]\nflow: {name: planar}\n"
    assert dump_yaml(values, inline=None) == "width:\n- 8\n- 16\nflow:\n  name: planar\n"
