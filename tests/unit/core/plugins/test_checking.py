import re
import sys
import types

import pytest

from hvae_core.errors import (
    BadInputError,
    ConfigError,
    DataError,
    DownloadError,
    MissingDependencyError,
)
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.plugins.scaffold import ABOUT, CHECKED
from hvae_core.plugins.specs import KINDS
from hvae_core.plugins.testing.checking import CONTRACTS, CheckReport, check_component


def test_a_kind_without_a_contract_is_refused():
    with pytest.raises(BadInputError, match="no contract"):
        check_component("preset", "zoo", [{}])


def test_new_packages_know_which_kinds_have_a_contract():
    assert set(ABOUT) == set(KINDS)
    assert set(CHECKED) == set(CONTRACTS)


def test_a_sound_component_is_found_sound():
    lines = []
    report = check_component("dataset", "digits", [{}], lines.append)
    assert report.sound
    assert report.passed > 5
    assert len(lines) == report.passed + report.skipped
    assert "passed   it says what it is" in lines


@pytest.mark.parametrize(
    "name", ["likelihood.bernoulli", "flow.sylvester", "tracker.wandb", "schedule.cosine"]
)
def test_what_a_check_needs_to_know_is_in_the_component_itself(name):
    kind, _, plain = name.partition(".")
    if kind == "tracker":
        pytest.importorskip(plain)
    report = check_component(kind, plain)
    assert report.sound, report.failures


@pytest.mark.parametrize("name", ["arrays", "hub", "parquet", "image-folder"])
def test_of_options_that_are_needed_the_first_that_is_missing_is_named(name):
    with pytest.raises(ConfigError) as caught:
        check_component("dataset", name)
    told = str(caught.value)
    assert re.match(rf"dataset\.{name}: (files|repository|root) is missing\. Give what ", told)
    assert "--options '{KEY: VALUE}'" in told
    assert told.endswith(f"hvae plugins show dataset.{name}")


def test_options_that_are_wrong_and_files_that_are_not_there_are_a_sentence(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match=r"flow\.sylvester: Unknown key 'layers'"):
        check_component("flow", "sylvester", [{"layers": 3}])
    with pytest.raises(ConfigError, match=r"Unknown key 'file'\. Did you mean 'files'\?"):
        check_component("dataset", "arrays", [{"file": "a.npy"}])
    monkeypatch.setenv("HVAE_HOME", str(tmp_path))
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    for name in ("mnist", "imagenet32"):
        with pytest.raises((DataError, DownloadError), match=r"--options '\{root: DIR\}'\.$"):
            check_component("dataset", name)


def test_skips_come_with_their_reason():
    lines = []
    report = CheckReport(tell=lines.append)
    for case in ("a", "b"):
        report.pytest_runtest_logreport(
            types.SimpleNamespace(
                nodeid=f"test_x.py::TestX::test_it_fits[{case}]", failed=False, skipped=True,
                longrepr=("flow.py", 3, "Skipped: it has no weights"),
            )
        )  # fmt: skip
    assert lines == [
        "skipped  it fits [a]: it has no weights",
        "skipped  it fits [b]: it has no weights",
    ]
    assert report.skips == {"it has no weights": 2}


def test_a_failure_is_told_by_the_first_line_that_says_something():
    lines = []
    text = ">       np.testing.assert_allclose(a, b)\nE       AssertionError: \n"
    text += "E       Not equal to tolerance rtol=1e-07\nE       log_det is not log|det|\n"
    CheckReport(tell=lines.append).pytest_runtest_logreport(
        types.SimpleNamespace(nodeid="test_x.py::TestX::test_it_fits", failed=True, longrepr=text)
    )
    assert lines == ["FAILED   it fits: Not equal to tolerance rtol=1e-07"]


def test_without_pytest_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pytest", None)
    with pytest.raises(MissingDependencyError, match=r"pytest, which is not installed.*hvae\[test"):
        check_component("dataset", "digits", [{}])


def test_a_broken_component_is_found_broken():
    module = types.ModuleType("broken_likelihood")

    @hookimpl
    def hvae_component():
        return ComponentSpec(
            kind="likelihood", name="hollow", summary="", builder=lambda options, shape: object()
        )

    module.hvae_component = hvae_component
    manager().register(module)
    lines = []
    try:
        report = check_component("likelihood", "hollow", [{}], lines.append)
    finally:
        manager().unregister("likelihood", "hollow")
    assert not report.sound
    told = "\n".join(lines)
    assert "FAILED   the spec is complete: AssertionError: the summary is empty" in told
    assert "hvae-check" not in told, "a folder that is gone is named"
    tracebacks = [n for n, line in enumerate(lines) if line == ""]
    assert len(tracebacks) < len(report.failures), "one traceback for one cause"
    assert "the summary is empty" in report.failures["test_the_spec_is_complete"]
