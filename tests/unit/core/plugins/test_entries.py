import sys

import pytest

from hvae_core.errors import PluginError
from hvae_core.plugins import PluginManager
from hvae_core.plugins.entries import PluginEntry

OBJECT = """
from hvae_core.plugins import ComponentSpec, hookimpl

class Plugin:
    @hookimpl
    def hvae_component(self):
        return ComponentSpec(kind="flow", name="dotted.name", summary="", builder=dict)

    @hookimpl
    def hvae_training_callbacks(self, config):
        return [f"watches {config}"]

plugin = Plugin()
"""


@pytest.fixture
def acme(tmp_path, monkeypatch):
    """A distribution with one plugin of each sort."""
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hvae]\nflow.dotted.name = acme_object:plugin\nflow.exits = acme_exits\n"
        "nokind = acme_object\nflwo.radial = acme_object\n"
    )
    (tmp_path / "acme_object.py").write_text(OBJECT)
    (tmp_path / "acme_exits.py").write_text("import sys; sys.exit(3)")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("acme_object", "acme_exits"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("acme")
def test_an_entry_point_that_is_not_kind_and_name_is_listed_as_broken(monkeypatch):
    plugins = PluginManager()
    broken = {e.full_name: e.reason for e in plugins.entries() if e.status == "broken"}
    assert set(broken) == {"nokind", "flwo.radial"}
    assert "'flwo.radial' is not kind.name" in broken["flwo.radial"]
    monkeypatch.setenv("HVAE_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="of acme is in state broken"):
        plugins.entries()


@pytest.mark.usefixtures("acme")
def test_an_entry_point_may_name_an_object_and_a_name_may_have_dots():
    plugins = PluginManager()
    assert plugins.get("flow", "dotted.name").name == "dotted.name"


@pytest.mark.usefixtures("acme")
def test_a_plugin_that_exits_when_imported_ends_nothing():
    plugins = PluginManager()
    with pytest.raises(PluginError, match=r"flow\.exits of acme 1\.0 cannot be loaded"):
        plugins.get("flow", "exits")


@pytest.mark.usefixtures("acme")
def test_callbacks_come_from_the_plugins_of_the_chosen_components_only():
    plugins = PluginManager()
    flow, block = plugins.get("flow", "dotted.name"), plugins.get("block", "bottleneck")
    assert plugins.training_callbacks("this", [flow, block]) == ["watches this"]
    assert plugins.training_callbacks("this", [block]) == []


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("", ""),
        ("License-Expression: MIT\n", "MIT"),
        ("License: BSD\n", "BSD"),
        ("Classifier: License :: OSI Approved :: MIT License\n", "MIT License"),
        ("Classifier: Topic :: Games\n", ""),
    ],
)
def test_the_licence_is_the_distribution_s_own(tmp_path, monkeypatch, metadata, licence):
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n{metadata}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert PluginEntry("flow", "radial", "acme", "1.0", "acme_radial").licence == licence


def test_what_is_no_distribution_states_no_licence():
    assert PluginEntry("flow", "radial", "(registered in this process)", "", "x").licence == ""
