"""What every component promises, whatever its kind: a complete spec, options, a pure import."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
import yaml

from hvae_core.config.component import options_to_dict, validate_options
from hvae_core.plugins import ComponentSpec, manager
from hvae_core.plugins.manager import REGISTERED
from hvae_core.plugins.specs import API_VERSION

#: run in a fresh interpreter: prints what importing the modules changed
_PURITY = """
import json, os, random, sys
sys.path[:] = json.loads(sys.argv[1])
import numpy
light, heavy = json.loads(sys.argv[2])
BACKENDS = ("keras", "jax", "tensorflow", "torch", "openvino")

def snapshot():
    state = {
        "os.environ": dict(os.environ),
        "sys.path": list(sys.path),
        "the state of random": random.getstate(),
        "the state of numpy.random": repr(numpy.random.get_state()),
    }
    if "keras" in sys.modules:
        config = sys.modules["keras"].config
        state["the settings of Keras"] = (
            config.floatx(), config.epsilon(), config.image_data_format(),
            config.dtype_policy().name,
        )
    return state

def load(modules):
    before = snapshot()
    for name in modules:
        __import__(name)
    after = snapshot()
    return [key for key in before if before[key] != after[key]]

changed = load(light)
loaded = [name for name in BACKENDS if name in sys.modules]
import hvae_core.layers
changed += load(heavy)
print(json.dumps({"changed": changed, "loaded": loaded}))
"""


class ComponentContract:
    """The tests that components of all kinds share; use the class of your component's kind.

    Attributes:
        spec: the component's spec, or its registered name ``kind.name``.
        configs: the options to test it with, each a mapping as a configuration file holds it.
        module: the plugin's module, if ``spec`` is not installed by an entry point.
    """

    kind: ClassVar[str] = ""
    spec: ClassVar[ComponentSpec | str]
    configs: ClassVar[Sequence[Mapping[str, Any]]] = ({},)
    module: ClassVar[str | None] = None
    #: fixture: the attribute that holds its values
    axes: ClassVar[Mapping[str, str]] = {"config": "configs"}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test with each configuration, and each shape where it takes one."""
        for fixture, attribute in self.axes.items():
            if fixture in metafunc.fixturenames:
                metafunc.parametrize(fixture, getattr(self, attribute), ids=str)

    @property
    def component(self) -> ComponentSpec:
        """The spec itself."""
        if isinstance(self.spec, ComponentSpec):
            return self.spec
        kind, _, name = self.spec.partition(".")
        return manager().get(kind, name)

    @pytest.fixture
    def options(self, config: Mapping[str, Any]) -> Any:
        """The validated options of a configuration."""
        return validate_options(self.component.config, config)

    def test_the_spec_is_complete(self) -> None:
        """Listings, cards and error messages can be made from it."""
        spec = self.component
        assert spec.kind == self.kind
        assert spec.name == spec.name.strip() != "none"
        assert not set(spec.name) & set(" :/\n"), "a name is written in files and overrides"
        assert spec.summary, "the summary is empty"
        assert "\n" not in spec.summary, "the summary is one line"
        assert spec.licence
        assert spec.api_version == API_VERSION
        assert callable(spec.resolve())

    def test_options_read_back_as_written(self, options: Any) -> None:
        """To YAML, as a preset and a run folder keep them, and back."""
        text = yaml.safe_dump(options_to_dict(options))
        assert validate_options(self.component.config, yaml.safe_load(text)) == options

    def test_an_unknown_option_is_refused(self, config: Mapping[str, Any]) -> None:
        """A misspelt option must not be lost in silence."""
        with pytest.raises(ValueError, match="no_such_option"):
            validate_options(self.component.config, {**config, "no_such_option": 1})

    def test_importing_it_changes_nothing(self) -> None:
        """No environment variable, path, random state or Keras setting; no Keras for the spec."""
        light, heavy = self.modules()
        if not light:
            pytest.skip("the plugin is registered in process; name its module to test the import")
        result = subprocess.run(
            [sys.executable, "-c", _PURITY, json.dumps(sys.path), json.dumps([light, heavy])],
            capture_output=True,
            text=True,
            env=dict(os.environ),
        )
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout.splitlines()[-1])
        assert not found["changed"], f"importing changes {found['changed']}"
        assert not found["loaded"], f"the module of the spec imports {found['loaded']}"

    def modules(self) -> tuple[list[str], list[str]]:
        """The module that holds the hook, and the one that holds the builder."""
        spec = self.component
        light = [self.module] if self.module else []
        if not light:
            light = [
                entry.module.partition(":")[0]
                for entry in manager().entries(spec.kind)
                if entry.name == spec.name.rpartition(":")[2] and entry.distribution != REGISTERED
            ]
        builder = spec.builder
        heavy = builder.partition(":")[0] if isinstance(builder, str) else builder.__module__
        return light, [heavy]
