import types

import pytest

from hvae_core.errors import BadInputError
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.plugins.scaffold import ABOUT, CHECKED
from hvae_core.plugins.specs import KINDS
from hvae_core.plugins.testing.checking import CONTRACTS, check_component


def test_a_kind_without_a_contract_is_refused():
    with pytest.raises(BadInputError, match="no contract"):
        check_component("preset", "zoo", [{}])


def test_new_packages_know_which_kinds_have_a_contract():
    assert set(ABOUT) == set(KINDS)
    assert set(CHECKED) == set(CONTRACTS)


def test_a_sound_component_is_found_sound():
    report = check_component("dataset", "digits", [{}])
    assert report.sound
    assert report.passed > 5


def test_a_broken_component_is_found_broken():
    module = types.ModuleType("broken_likelihood")

    @hookimpl
    def hvae_component():
        return ComponentSpec(
            kind="likelihood", name="hollow", summary="", builder=lambda options, shape: object()
        )

    module.hvae_component = hvae_component
    manager().register(module)
    try:
        report = check_component("likelihood", "hollow", [{}])
    finally:
        manager().unregister("likelihood", "hollow")
    assert not report.sound
    assert "the summary is empty" in report.failures["test_the_spec_is_complete"]
