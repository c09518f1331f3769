import json
import os
import re
import subprocess
import sys
import types

import pydantic
import pytest
from click.testing import CliRunner

from hvae_core.cli.main import cli, main
from hvae_core.cli.plugins import option_rows, yaml_text
from hvae_core.config import Config, ModelConfig, ParameterGroup, ReadoutConfig, TrainConfig
from hvae_core.errors import BadInputError, ConfigError, PluginError
from hvae_core.files.yaml_files import parse_yaml
from hvae_core.plugins import ComponentSpec, hookimpl, manager
from hvae_core.plugins.testing import checking
from hvae_core.plugins.testing.checking import CheckReport


class RadialConfig(pydantic.BaseModel):
    layers: pydantic.PositiveInt = pydantic.Field(2, description="maps in a row")


@pytest.fixture
def radial():
    """A third party's flow, registered in this process."""
    module = types.ModuleType("radial_flow")

    @hookimpl
    def hvae_component():
        return ComponentSpec(
            kind="flow",
            name="radial",
            summary="radial maps",
            builder=dict,
            config=RadialConfig,
            references=("Rezende & Mohamed 2015, arXiv 1505.05770",),
            licence="MIT",
        )

    module.hvae_component = hvae_component
    manager().register(module)
    yield
    manager().unregister("flow", "radial")


def run(*arguments):
    return CliRunner().invoke(cli, ["plugins", *arguments], catch_exceptions=False)


def test_list_has_kind_name_source_and_status(radial):
    rows = json.loads(run("list", "--json").output)
    found = {f"{row['kind']}.{row['name']}": row for row in rows}
    assert found["flow.radial"]["status"] == "loaded"
    assert found["block.bottleneck"]["distribution"] == "hvae"
    assert {row["kind"] for row in json.loads(run("list", "--kind", "flow", "--json").output)} == {
        "flow"
    }
    assert "radial" in run("list").output


def test_a_disabled_one_is_listed_with_its_reason():
    code = "from hvae_core.cli.main import main; main(['plugins', 'list', '--json'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "HVAE_DISABLE_PLUGINS": "likelihood.bernoulli"},
    )
    rows = {f"{row['kind']}.{row['name']}": row for row in json.loads(done.stdout)}
    row = rows["likelihood.bernoulli"]
    assert (row["status"], row["reason"]) == ("disabled", "named by HVAE_DISABLE_PLUGINS")
    assert rows["likelihood.logistic-mixture"]["status"] == "available"


@pytest.mark.parametrize("name", ["radial", "flow.radial"])
def test_show_tells_all_of_the_spec(radial, name):
    shown = json.loads(run("show", name, "--json").output)
    assert shown["summary"] == "radial maps"
    assert shown["licence"] == "MIT"
    (option,) = shown["options"]
    assert (option["name"], option["type"], option["default"]) == ("layers", "int > 0", 2)
    assert option["description"] == "maps in a row"
    text = run("show", name).output
    for part in ("flow.radial: radial maps", "arXiv 1505.05770", "MIT", "layers: int > 0 = 2"):
        assert part in text


def all_options():
    """Every option of a configuration and of our components: its row and where it is."""
    for section in (Config, ModelConfig, ReadoutConfig, TrainConfig, ParameterGroup):
        for row in option_rows(section):
            yield pytest.param(row, id=f"{section.__name__}.{row['name']}")
    for entry in manager().entries():
        if entry.distribution == "hvae" and entry.kind != "preset":
            for row in option_rows(manager().get(entry.kind, entry.name).config):
                yield pytest.param(row, id=f"{entry.full_name}.{row['name']}")


@pytest.mark.parametrize("row", list(all_options()))
def test_a_default_is_shown_as_a_file_takes_it(row):
    default = row["default"]
    read = parse_yaml(f"option: {yaml_text(default)}", "It", ConfigError)["option"]
    # YAML reads 1e-06 as text, which an option then takes as a number
    assert (type(default)(read) if isinstance(default, float) else read) == default
    if default is None and not row.get("required"):
        assert row["type"] == "section" or row["type"].endswith("null")
    if re.search(r"\bnone: ", row["description"]):  # the word, which is another value than null
        assert "none" in re.split(", | or ", row["type"])


def test_an_option_that_may_be_unset_is_shown_with_null():
    text = run("show", "schedule.cosine").output
    assert "decay_start: int >= 0 or null = null" in text


def test_a_licence_is_the_component_s_or_its_package_s_or_not_stated(radial):
    assert json.loads(run("show", "flow.sylvester", "--json").output)["licence"] == "Apache-2.0"
    module = types.ModuleType("no_licence")

    @hookimpl
    def hvae_component():
        return ComponentSpec(kind="schedule", name="no-licence", summary="none", builder=dict)

    module.hvae_component = hvae_component
    manager().register(module)
    try:
        assert "licence: not stated" in run("show", "schedule.no-licence").output
    finally:
        manager().unregister("schedule", "no-licence")


def test_names_that_mean_nothing_or_two_things(radial):
    with pytest.raises(PluginError, match="Did you mean 'radial'"):
        run("show", "raddial")
    with pytest.raises(PluginError, match="no flow named 'raddial'"):
        run("show", "flow.raddial")
    with pytest.raises(BadInputError, match="Did you mean 'flow'"):
        run("list", "--kind", "flo")
    module = types.ModuleType("radial_block")

    @hookimpl
    def hvae_component():
        return ComponentSpec(kind="block", name="radial", summary="a block", builder=dict)

    module.hvae_component = hvae_component
    manager().register(module)
    try:
        with pytest.raises(PluginError, match=r"Write block\.radial or flow\.radial"):
            run("show", "radial")
        assert "a block" in run("show", "block.radial").output
    finally:
        manager().unregister("block", "radial")


def test_a_component_that_fails_is_told_in_one_document(capsys, monkeypatch):
    report = CheckReport(passed=2, failures={"test_shapes": "assert 1 == 2"})
    monkeypatch.setattr(checking, "check_component", lambda *_: report)
    for words, stream in ((["--json"], "out"), ([], "err")):
        with pytest.raises(SystemExit) as left:
            main(["plugins", "check", "flow.sylvester", *words])
        assert left.value.code == 1
        captured = capsys.readouterr()
        sentence = "flow.sylvester does not keep its contract on "
        assert sentence in getattr(captured, stream)
        if words:
            told = json.loads(captured.out)
            assert told["sound"] is False
            assert told["failures"] == {"test_shapes": "assert 1 == 2"}
            assert told["error"]["message"].startswith(sentence)
            assert captured.err == ""
