"""The form of a preset.yaml: whatever it holds, a listing of presets goes on."""

import json

import pytest
import yaml

from hvae_core.cli.main import main
from hvae_core.errors import PresetError
from hvae_core.zoo import read_preset


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"figures": "x"}, "figures must be a mapping, not 'x'"),
        ({"figures": [1]}, "figures must be a mapping"),
        ({"figures": {"nats": "many"}}, "figures.nats is 'many'; expected a finite number"),
        ({"figures": {"nats": {"value": [1]}}}, "figures.nats is .1.; expected a finite number"),
        ({"figures": {"nats": True}}, "figures.nats is True"),
        ({"trained": 5}, "trained must be a mapping"),
        ({"layers": [1.0]}, "layers must be a mapping"),
        ({"layers": {"how": 3}}, "layers.how must be text"),
        ({"figures": {"nats": {"value": 1, "command": 3}}}, "figures.nats.command must be text"),
        (
            {"layers": {"kl": "many"}},
            "layers.kl is 'many'; expected a finite number for each layer",
        ),
        ({"layers": {"kl": [1, "\x1b"]}}, "layers.kl holds the character"),
        ({"layers": {"kl": [True]}}, "layers.kl is .True.; expected a finite number"),
        ({"layers": {"kl": [1, 2], "units": [3]}}, "lists of layers are of different lengths"),
        ({"pictures": {"samples.png": 3}}, "pictures.samples.png must be text, not 3"),
        ({"plugins": ["x"]}, "plugins must be a mapping"),
        ({"parameters": "x"}, "parameters must be a number"),
        ({"parameters": -1}, "parameters must be a number"),
        ({"summary": ["x"]}, "summary must be text"),
        ({"licence": 5}, "licence must be text"),
        ({"summary": "x" * 2_000}, "summary has more than 1000 characters"),
        ({"notes": "x" * 60_000}, "notes has more than 50000 characters"),
        ({"summary": "a\x1b[2Jb"}, r"summary holds the character '\\x1b'"),
        ({"summary": "a\u202eb"}, r"summary holds the character '\\u202e'"),
        ({"notes": "a\rb"}, r"notes holds the character '\\r'"),
        ({"figures": {"\x1b]0;x\x07": 1}}, "figures holds the character"),
        ({"trained": {"how": ["\x9b31m"]}}, "trained.how holds the character"),
        ({"plugins": {"flow.x": "\x1bx 1"}}, "plugins.flow.x holds the character"),
        ({"weights": {"sources": ["\x1b"]}}, "weights.sources holds the character"),
    ],
)
def test_another_form_is_one_sentence(zoo, home, change, says, capsys):
    folder = home / "presets" / "odd"
    folder.mkdir(parents=True)
    info = yaml.safe_load((zoo / "untrained" / "preset.yaml").read_text())
    (folder / "preset.yaml").write_text(yaml.safe_dump({**info, "name": "odd", **change}))
    with pytest.raises(PresetError, match=says) as caught:
        read_preset(folder)
    assert str(caught.value).isprintable()
    for command in (["list"], ["list", "--json"], ["verify"], ["prune", "--dry-run"]):
        with pytest.raises(SystemExit) as left:
            main(["zoo", *command])
        out, err = capsys.readouterr()
        assert "\x1b" not in out + err
        if command[0] == "list":
            assert left.value.code == 0
            assert "untrained" in out
            assert "damaged" in out
        if "--json" in command:
            assert len(json.loads(out)) == 3


def test_what_may_stand_there(zoo):
    path = zoo / "untrained" / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    info |= {"notes": "Two lines,\n\u00e9\u00a0: \U0001f469\u200d\U0001f52c"}
    info |= {"figures": {"a": {"value": None}}}
    info |= {"cite": None, "trained": None, "summary": "[/b] a summary that is no markup [red]"}
    path.write_text(yaml.safe_dump(info))
    assert read_preset(zoo / "untrained").summary.endswith("[red]")
    with pytest.raises(SystemExit) as left:
        main(["zoo", "list"])
    assert left.value.code == 0
