import json

import pytest
from click.testing import CliRunner
from PIL import Image

from hvae_core.cli.data import command
from hvae_core.errors import BadInputError, DataError


def invoke(*arguments):
    return CliRunner().invoke(command, arguments)


def test_list():
    result = invoke("list", "--json")
    assert result.exit_code == 0, result.output
    names = {row["name"]: row for row in json.loads(result.stdout)}
    assert {"digits", "mnist", "cifar10", "imagenet32", "parquet", "image-folder"} <= set(names)
    assert names["digits"]["status"] == "available"
    assert "no download" in names["digits"]["summary"]
    assert "cifar10" in invoke("list").stdout


def test_show():
    shown = json.loads(invoke("show", "cifar10", "--json").stdout)
    assert shown["sizes"] == {"train": 50000, "test": 10000}
    assert shown["shape"] == [32, 32, 3]
    assert {option["option"] for option in shown["options"]} == {"root", "url", "flip"}
    text = invoke("show", "cifar10")
    assert text.exit_code == 0
    assert "Krizhevsky" in text.stdout


def test_options_are_shown_as_those_of_every_component():
    from hvae_core.cli.plugins import option_rows
    from hvae_core.config.overrides import parse_override
    from hvae_core.plugins import manager

    rows = option_rows(manager().get("dataset", "mnist").config)
    shown = json.loads(invoke("show", "mnist", "--json").stdout)["options"]
    for row, option in zip(rows, shown, strict=True):
        assert option == {"required": False, "option": row.pop("name"), **row}
    lines = {line.split()[0]: line for line in invoke("show", "mnist").stdout.splitlines() if line}
    assert lines["root"].split()[1:6] == ["str", "or", "null", "null", "folder"]
    assert lines["padding"].split()[1:5] == ["int", ">=", "0", "2"]
    assert lines["near_exact"].split()[1:3] == ["bool", "false"]
    # What is shown can be given.
    for option in (lines["root"].split()[4], lines["near_exact"].split()[2]):
        assert parse_override(f"data.x={option}")[1] in (None, False)
    needed = invoke("show", "image-folder").stdout
    assert any(line.split()[:3] == ["root", "str", "(required)"] for line in needed.splitlines())


def test_show_a_set_that_needs_a_root():
    shown = json.loads(invoke("show", "image-folder", "--json").stdout)
    assert [option["option"] for option in shown["options"] if option["required"]] == ["root"]
    assert invoke("show", "parquet").exit_code == 0


def test_a_root_is_shown_as_it_is(tmp_path):
    root = tmp_path / "g[/b]" / "h[train]"
    root.mkdir(parents=True)
    for index in range(3):
        Image.new("L", (8, 8), index).save(root / f"{index}.png")
    result = invoke("show", "image-folder", "--set", f"root={root}")
    assert result.exit_code == 0, result.output
    assert "g[/b]/h[train]" in result.stdout.replace("\n", "")


@pytest.mark.parametrize("key", ["root", "data.root"])
def test_prepare(fixtures_folder, key):
    pytest.importorskip("pyarrow")
    root = fixtures_folder / "cifar10"
    result = invoke("prepare", "cifar10", "--set", f"{key}={root}", "--json")
    assert result.exit_code == 0, result.output
    payload = json.loads(result.stdout)
    assert [(split, len(digest)) for split, digest in payload.pop("sha256").items()] == [
        ("train", 64), ("test", 64)
    ]  # fmt: skip
    assert payload == {
        "name": "cifar10",
        "splits": {"train": 32, "test": 16},
        "shape": [32, 32, 3],
        "notes": [],
    }
    assert "32x32x3" in invoke("prepare", "cifar10", "--set", f"{key}={root}").stdout


def test_bad_input(tmp_path):
    result = invoke("prepare", "cifar10", "--set", f"root={tmp_path}")
    assert isinstance(result.exception, DataError)
    result = invoke("prepare", "cifar10", "--set", "rot=x")
    assert isinstance(result.exception, BadInputError)
    assert "root" in str(result.exception)
    result = invoke("show", "cifar11")
    assert isinstance(result.exception, BadInputError)
    assert "cifar10" in str(result.exception)
