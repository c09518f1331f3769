"""What every component promises, whatever its kind."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pydantic
import pytest

from hvae_core.config.component import options_to_dict, validate_options
from hvae_core.plugins import ComponentSpec, manager
from hvae_core.plugins.specs import API_VERSIONS
from hvae_core.plugins.testing.importing import changed_by_import


class ComponentContract:
    """Base of the contracts. A subclass names the component and the options to try it with.

    Attributes:
        spec: the component's spec, or ``"kind.name"`` of one that is installed.
        configs: options as a configuration file has them, one mapping for each trial; by default
            the spec's ``trials``.
    """

    spec: ClassVar[ComponentSpec | str]
    configs: ClassVar[Sequence[Mapping[str, Any]]] = ()
    #: the kind a subclass is for, set by each contract
    kind: ClassVar[str] = ""
    #: whether its code needs Keras
    needs_keras: ClassVar[bool] = True

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test that takes ``config`` with every entry of ``configs``."""
        if "config" in metafunc.fixturenames:
            names = [_identifier(config) for config in self.tried]
            metafunc.parametrize("config", self.tried, ids=names)

    @property
    def component(self) -> ComponentSpec:
        """The spec itself."""
        if isinstance(self.spec, str):
            kind, _, name = self.spec.partition(".")
            return manager().get(kind, name)
        return self.spec

    @property
    def tried(self) -> list[dict[str, Any]]:
        """The options to try it with, one mapping for each trial."""
        return [dict(config) for config in self.configs or self.component.trials]

    def options(self, config: dict[str, Any]) -> Any:
        """``config`` validated by the component's config class."""
        return validate_options(self.component.config, config)

    def test_the_spec_is_complete(self) -> None:
        """Kind, interface version, a summary of one line, and a builder that exists."""
        spec = self.component
        assert spec.kind == self.kind, f"the spec is of kind {spec.kind!r}, not {self.kind!r}"
        assert spec.api_version in API_VERSIONS
        assert spec.summary.strip(), "the summary is empty"
        assert "\n" not in spec.summary, "the summary has more than one line"
        assert all(reference.strip() for reference in spec.references)
        assert callable(spec.resolve()), "the builder is not callable"

    def test_an_unknown_option_is_refused(self) -> None:
        """A misspelt option must not be ignored."""
        first = self.tried[0]
        with pytest.raises(pydantic.ValidationError):
            self.options({**first, "no_such_option": 1})

    def test_options_have_a_schema(self) -> None:
        """The options have a JSON schema, which listings and documentation read."""
        schema = pydantic.TypeAdapter(self.component.config).json_schema()
        json.dumps(schema)
        tried = {key for config in self.tried for key in config}
        unknown = tried - set(schema.get("properties", {}))
        assert not unknown, f"{sorted(unknown)} are tried but not in the schema"

    def test_options_survive_a_round_trip(self, config: dict[str, Any]) -> None:
        """What is written to a run's config.yaml reads back to equal options."""
        options = self.options(config)
        values = json.loads(json.dumps(options_to_dict(options)))
        assert self.options(values) == options

    def test_importing_it_changes_nothing(self) -> None:
        """No environment variable, search path, random state or Keras setting is touched."""
        modules = [(name, _file_of(name)) for name in self._modules()]
        changed = ", ".join(changed_by_import(modules, self.needs_keras))
        assert not changed, f"importing {self.component.name!r} changes {changed}"

    def _modules(self) -> list[str]:
        spec = self.component
        return list(dict.fromkeys([spec.resolve().__module__, spec.config.__module__]))


def _file_of(module: str) -> str | None:
    return getattr(sys.modules.get(module), "__file__", None)


def _identifier(config: Mapping[str, Any]) -> str:
    return "-".join(f"{key}={os.path.basename(str(value))}" for key, value in config.items()) or "-"
