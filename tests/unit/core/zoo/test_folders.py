"""Presets of packages: a plugin that fails, in whatever way, harms nothing and is told of."""

import json
import sys

import pytest

from hvae_core.cli.main import main
from hvae_core.errors import PluginError, PresetError
from hvae_core.plugins import PluginManager
from hvae_core.plugins.entries import PluginEntry
from hvae_core.zoo import find_preset, folders, list_presets

MODULE = """
from pathlib import Path
from hvae_core.plugins import ComponentSpec, hookimpl

class UntoldError(Exception):
    def __repr__(self):
        raise RuntimeError

def build():
    {body}

@hookimpl
def hvae_component():
    return ComponentSpec(kind="preset", name="acme", summary="", builder={builder})
"""


def built(body, builder="build"):
    return MODULE.format(body=body, builder=builder)


BROKEN = {
    "no such module": ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
    "raises when imported": ("raise RuntimeError('no such device')", "no such device"),
    "leaves when imported": ("raise SystemExit(3)", "SystemExit(3)"),
    "is no Python": ("def (", "SyntaxError"),
    "has no hook": ("def nothing(): pass", "defines no hook"),
    "another's name": (built("pass").replace('"acme"', '"ours"'), "its spec says preset.ours"),
    "no file": (built("return Path('/opt/acme').stat()"), "/opt/acme"),
    "runtime": (built("raise RuntimeError('no\\n  luck')"), r"RuntimeError('no\n  luck')"),
    "type": (built("return len(3)"), "TypeError"),
    "leaves": (built("raise SystemExit"), "SystemExit()"),
    "deep": (built("return build()"), "RecursionError"),
    "says nothing": (built("raise UntoldError"), "UntoldError"),
    "no builder": (built("pass", '"acme_presets:nowhere"'), "its builder 'acme_presets:nowhere'"),
    "wants an argument": (built("pass", "lambda folder: folder"), "TypeError"),
    "none": (built("return None"), "its builder gives NoneType, not a folder"),
    "number": (built("return 5"), "its builder gives int, not a folder"),
    "list": (built("return [Path()]"), "its builder gives list, not a folder"),
    "missing": (built("return '/opt/acme/presets'"), "is no folder: '/opt/acme/presets'"),
    "zero": (built("return 'a\\0b'"), "is no folder"),
    "too long": (built("return 'a' * 5000"), "is no folder"),
    "file": (built("return Path(__file__)"), "acme_presets.py"),
}


@pytest.fixture
def plugins(tmp_path, monkeypatch):
    """The installed components and a package of presets, whose module the test writes."""
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "acme_presets", raising=False)
    found = PluginManager()
    found._entries.append(PluginEntry("preset", "acme", "acme-hvae", "1.2", "acme_presets"))
    for place in ("hvae_core.zoo.folders.manager", "hvae_core.plugins.manager"):
        monkeypatch.setattr(place, lambda: found)
    return found


def run(capsys, *words):
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return left.value.code, *capsys.readouterr()


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_one_is_told_and_harms_nothing(case, plugins, tmp_path, capsys):
    source, reason = BROKEN[case]
    (tmp_path / "acme_presets.py").write_text(source)
    code, out, _ = run(capsys, "zoo", "list", "--json")
    assert code == 0
    assert "digits-vdvae" in {row["name"] for row in json.loads(out)}
    assert run(capsys, "zoo", "show", "digits-vdvae")[0] == 0
    (problem,) = json.loads(run(capsys, "doctor", "--json")[1])["problems"]
    assert problem.startswith("plugin preset.acme: broken, ")
    assert reason in problem
    rows = json.loads(run(capsys, "plugins", "list", "--kind", "preset", "--json")[1])
    (row,) = (row for row in rows if row["name"] == "acme")
    assert row["status"] == "broken"
    assert reason in row["reason"]
    with pytest.raises(PresetError, match="Presets of these plugins are not available: acme"):
        find_preset("acme-vdvae")


@pytest.mark.parametrize("first", [("plugins", "list", "--json"), ("doctor", "--json")])
def test_it_is_told_by_whatever_is_asked_first(first, plugins, tmp_path, capsys):
    (tmp_path / "acme_presets.py").write_text("raise RuntimeError('no such device')")
    code, out, _ = run(capsys, *first)
    assert code == 0
    assert "RuntimeError('no such device')" in out


@pytest.mark.parametrize("case", ["raises when imported", "runtime", "none"])
def test_strict_mode_stops_at_it(case, plugins, tmp_path, monkeypatch):
    (tmp_path / "acme_presets.py").write_text(BROKEN[case][0])
    monkeypatch.setenv("HVAE_STRICT_PLUGINS", "1")
    for _ in range(2):
        with pytest.raises(PluginError, match=r"preset\.acme of acme-hvae"):
            list_presets()


@pytest.mark.parametrize("form", ["Path(__file__).parent", "str(Path(__file__).parent)"])
def test_a_sound_one_gives_its_presets(form, plugins, tmp_path):
    (tmp_path / "acme_presets.py").write_text(built(f"return {form}"))
    (tmp_path / "acme-vdvae").mkdir()
    (tmp_path / "acme-vdvae" / "preset.yaml").write_text("data: digits\n")
    assert folders.installed_presets()["acme-vdvae"] == [tmp_path / "acme-vdvae"]
    assert find_preset("acme-vdvae").origin == "installed"
    assert plugins.find("preset", "acme").status == "loaded"
