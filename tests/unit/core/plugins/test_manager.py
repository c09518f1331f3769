import subprocess
import sys
import types

import pytest

from hvae_core.errors import PluginError
from hvae_core.plugins import ComponentSpec, PluginManager, hookimpl
from hvae_core.plugins.entries import PluginEntry, installed_entries, mark_conflicts

GOOD = """
from hvae_core.plugins import ComponentSpec, hookimpl

@hookimpl
def hvae_component():
    return ComponentSpec(kind="flow", name="{name}", summary="", builder=dict, api_version={api})
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Writes a distribution with entry points and modules where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(distribution, entries, modules):
        info = tmp_path / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        lines = "\n".join(f"{name} = {module}" for name, module in entries.items())
        (info / "entry_points.txt").write_text(f"[hvae]\n{lines}\n")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return make


def test_a_third_party_s_component_is_found_and_loaded_only_when_asked_for(install):
    install(
        "acme", {"flow.radial": "acme_radial"}, {"acme_radial": GOOD.format(name="radial", api=1)}
    )
    plugins = PluginManager()
    entry = plugins.find("flow", "radial")
    assert (entry.distribution, entry.status) == ("acme", "available")
    assert "acme_radial" not in sys.modules
    assert plugins.get("flow", "radial").name == "radial"
    assert plugins.find("flow", "radial").status == "loaded"


def test_an_unknown_name_gets_the_nearest_one():
    with pytest.raises(
        PluginError, match=r"no likelihood named 'bernouli'.*Did you mean 'bernoulli'"
    ):
        PluginManager().get("likelihood", "bernouli")
    with pytest.raises(PluginError, match=r"no flow named 'zzz'.*install that package"):
        PluginManager().get("flow", "zzz")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("raise RuntimeError('no such device')", "no such device"),
        ("import a_package_that_is_not_there", "a_package_that_is_not_there"),
        ("def nothing(): pass", "defines no hook"),
        (GOOD.format(name="other", api=1), "its spec says flow.other"),
        (GOOD.format(name="bad", api=99), "version 99"),
    ],
)
def test_a_broken_plugin_is_named_with_its_reason_and_harms_nothing_else(install, source, reason):
    install("acme", {"flow.bad": "acme_bad", "flow.good": "acme_good"},
            {"acme_bad": source, "acme_good": GOOD.format(name="good", api=1)})  # fmt: skip
    plugins = PluginManager()
    with pytest.raises(PluginError, match=reason) as caught:
        plugins.get("flow", "bad")
    assert "acme 1.0" in str(caught.value)
    assert plugins.find("flow", "bad").status == "broken"
    assert plugins.get("flow", "good").name == "good"


def test_two_of_one_name_are_an_error_that_names_both_unless_qualified(install):
    install("acme", {"flow.twin": "acme_twin"}, {"acme_twin": GOOD.format(name="twin", api=1)})
    install("bolt", {"flow.twin": "bolt_twin"}, {"bolt_twin": GOOD.format(name="twin", api=1)})
    plugins = PluginManager()
    with pytest.raises(PluginError, match="acme:twin or bolt:twin"):
        plugins.get("flow", "twin")
    assert [e.status for e in plugins.entries("flow") if e.name == "twin"] == ["conflict"] * 2
    assert plugins.get("flow", "bolt:twin").name == "twin"


@pytest.mark.parametrize("named", ["twin", "flow.twin", "acme"])
def test_disabled_plugins_are_listed_and_refused(install, monkeypatch, named):
    install("acme", {"flow.twin": "acme_twin"}, {"acme_twin": GOOD.format(name="twin", api=1)})
    monkeypatch.setenv("HVAE_DISABLE_PLUGINS", f"else, {named}")
    plugins = PluginManager()
    assert [e.status for e in plugins.entries("flow") if e.name == "twin"] == ["disabled"]
    with pytest.raises(PluginError, match=r"disabled.*HVAE_DISABLE_PLUGINS"):
        plugins.get("flow", "twin")


def test_disabling_one_of_two_ends_the_conflict(install, monkeypatch):
    install("acme", {"flow.twin": "acme_twin"}, {"acme_twin": GOOD.format(name="twin", api=1)})
    install("bolt", {"flow.twin": "bolt_twin"}, {"bolt_twin": GOOD.format(name="twin", api=1)})
    monkeypatch.setenv("HVAE_DISABLE_PLUGINS", "bolt")
    plugins = PluginManager()
    assert plugins.find("flow", "twin").distribution == "acme"


def test_strict_mode_stops_at_a_broken_one(install, monkeypatch):
    install("acme", {"flow.bad": "acme_bad"}, {"acme_bad": "1 / 0"})
    plugins = PluginManager()
    with pytest.raises(PluginError):
        plugins.get("flow", "bad")
    assert plugins.entries("flow")
    monkeypatch.setenv("HVAE_STRICT_PLUGINS", "1")
    for look in (lambda: plugins.entries("flow"), lambda: plugins.get("block", "bottleneck")):
        with pytest.raises(PluginError, match=r"flow\.bad of acme"):
            look()


def test_registering_in_process():
    module = types.ModuleType("mine")

    @hookimpl
    def hvae_component():
        return ComponentSpec(kind="block", name="mine", summary="", builder=dict)

    module.hvae_component = hvae_component
    plugins = PluginManager()
    plugins.register(module)
    assert plugins.get("block", "mine").build() == {}
    with pytest.raises(PluginError, match="already"):
        plugins.register(module)
    plugins.unregister("block", "mine")
    with pytest.raises(PluginError):
        plugins.get("block", "mine")


def test_registering_again_after_unregistering():
    """Also another object with the same module name, as a re-run notebook cell makes."""
    plugins = PluginManager()
    for _ in range(3):
        module = types.ModuleType("mine")
        exec(GOOD.format(name="mine", api=1), module.__dict__)
        plugins.register(module)
        plugins.unregister("flow", "mine")
    plugins.register(module)
    assert plugins.names("flow").count("mine") == 1


def test_a_refused_registration_leaves_nothing_behind():
    plugins = PluginManager()
    module = types.ModuleType("mine")
    exec(GOOD.format(name="mine", api=99), module.__dict__)
    with pytest.raises(PluginError, match="version 99"):
        plugins.register(module)
    assert "mine" not in plugins.names("flow")
    exec(GOOD.format(name="mine", api=1), module.__dict__)
    plugins.register(module)
    assert plugins.get("flow", "mine").name == "mine"


def test_an_unknown_hook_is_refused():
    module = types.ModuleType("mine")

    @hookimpl
    def hvae_component():
        return ComponentSpec(kind="flow", name="mine", summary="", builder=dict)

    @hookimpl
    def hvae_compnent():
        return None

    module.hvae_component, module.hvae_compnent = hvae_component, hvae_compnent
    with pytest.raises(PluginError, match="hvae_compnent"):
        PluginManager().register(module)


def test_our_own_components_come_in_by_the_same_door():
    names = {entry.full_name for entry in installed_entries() if entry.distribution == "hvae"}
    assert {"block.bottleneck", "likelihood.logistic-mixture", "dataset.digits"} <= names
    plugins = PluginManager()
    for entry in plugins.entries():
        if entry.distribution == "hvae":
            assert plugins.get(entry.kind, f"hvae:{entry.name}").summary


def test_listing_imports_no_plugin_and_no_backend():
    code = (
        "import sys; from hvae_core.plugins import manager; manager().entries();"
        "bad = [m for m in ('keras', 'jax', 'torch', 'tensorflow', 'hvae_plugins', 'pydantic')"
        " if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_conflicts_ignore_other_kinds():
    entries = [PluginEntry(k, "same", d, "1", "m") for k, d in (("flow", "a"), ("block", "b"))]
    mark_conflicts(entries)
    assert {entry.status for entry in entries} == {"available"}


@pytest.mark.parametrize("builder", ["acme_nowhere:Planar", "hvae_core.errors:Planar"])
def test_a_builder_that_is_not_there_is_named(builder):
    spec = ComponentSpec(kind="flow", name="radial", summary="", builder=builder)
    with pytest.raises(PluginError, match=f"flow 'radial' cannot be built.*{builder}"):
        spec.build(None)
