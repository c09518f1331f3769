"""``hvae zoo`` on a zoo of its own."""

from __future__ import annotations

import contextlib
import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from hvae_core.cli.main import COMMANDS, cli
from hvae_core.cli.zoo import command
from hvae_core.errors import BadInputError, PresetError, SlowDownloadError
from hvae_core.plugins.specs import ComponentSpec
from hvae_core.weights import write_tensors
from hvae_core.zoo import finding as index
from hvae_core.zoo import folders, write_preset

CONFIG = {
    "summary": "a small one",
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
}


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    folder = tmp_path / "zoo"
    write_preset(
        folder / "trained",
        CONFIG,
        lambda path: write_tensors({"a": np.ones((2, 3), np.float32)}, path),
        figures={"bits_per_dim": 3.25},
    )
    write_preset(folder / "untrained", CONFIG)
    spec = ComponentSpec(kind="preset", name="zoo", summary="", builder=lambda: folder)
    entry = types.SimpleNamespace(kind="preset", name="zoo", status="available")
    stand_in: Any = types.SimpleNamespace(
        entries=lambda kind: [entry],
        get=lambda kind, name: spec,
        guarding=lambda kind, name: contextlib.nullcontext(),
    )
    monkeypatch.setattr(folders, "manager", lambda: stand_in)
    return folder


def run(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list(zoo: Path) -> None:
    lines = run("list").splitlines()
    assert len(lines) == 3
    assert "bits/dim" in lines[0]
    assert lines[1].split() == [
        *("trained", "a", "small", "one", "digits", "6", "3.250", "installed"),
    ]
    assert lines[2].endswith("none: train")


def test_the_best_of_each_data_set_is_listed_first(zoo: Path) -> None:
    weights = {"a": np.ones((2, 3), np.float32)}
    others = {**CONFIG, "data": {"name": "cifar10"}}
    nats: dict[str, Any] = {"nats": {"value": -90.5, "unit": "nats", "how": "ELBO"}}
    classes = {"condition": {"name": "label", "classes": 10}}
    labelled = {**CONFIG, "model": {**CONFIG["model"], **classes}}
    for name, config, figures in (
        ("better", CONFIG, {"bits_per_dim": 3.0}),
        ("a-worse", CONFIG, {"bits_per_dim": 4.0}),
        ("unmeasured", CONFIG, {}),
        ("b-far", others, {"nats": -99.0}),
        ("c-near", others, nats),
        # Given a label or some pixels, a bound is of something else.
        ("labelled", labelled, {"bits_per_dim": 1.0}),
        ("measured", {**CONFIG, "measurement": {"name": "columns"}}, {"bits_per_dim": 2.0}),
    ):
        write_preset(zoo / name, config, lambda path: write_tensors(weights, path), figures=figures)
    listed = json.loads(run("list", "--json"))
    assert [preset["name"] for preset in listed] == [
        "c-near", "b-far", "better", "trained", "a-worse", "unmeasured", "labelled", "measured",
        "untrained",
    ]  # fmt: skip
    given = {preset["name"]: (preset["condition"], preset["measurement"]) for preset in listed}
    assert given["labelled"] == ("label", None)
    assert given["measured"] == (None, "columns")
    assert given["better"] == (None, None)
    near = next(line for line in run("list").splitlines() if line.startswith("c-near"))
    assert "-90.50" in near.split()


def test_another_distribution_s_components_keep_their_whole_names(zoo: Path) -> None:
    folder = zoo / "foreign"
    folder.mkdir()
    (folder / "preset.yaml").write_text(
        "summary: s\ndata: acme:scans\nmeasurement: {name: acme:blur}\n", encoding="utf-8"
    )
    (listed,) = json.loads(run("list", "foreign", "--json"))
    assert (listed["data"], listed["measurement"]) == ("acme:scans", "acme:blur")


def test_list_as_json(zoo: Path) -> None:
    listed = json.loads(run("list", "un*", "--json"))
    assert [preset["name"] for preset in listed] == ["untrained"]
    assert listed[0]["weights"] == "none"


def test_presets_without_weights_come_last_and_filters_choose(zoo: Path) -> None:
    (zoo / "untrained").rename(zoo / "another")

    def names(*arguments: str) -> list[str]:
        return [preset["name"] for preset in json.loads(run("list", *arguments, "--json"))]

    assert names() == ["trained", "another"]
    assert names("--weights") == names("--task", "sample") == ["trained"]
    assert names("--no-weights") == ["another"]
    assert names("--data", "digits") == names("--task", "train") == ["trained", "another"]
    assert names("--task", "import") == []
    assert names("an*", "--weights") == []
    assert "No preset is like that." in run("list", "--task", "import")
    assert index.list_presets("*", weights=True) == ["trained"]
    assert index.list_presets(weights=False, data="digits") == ["another"]
    with pytest.raises(BadInputError, match=r"no task 'smple'. Did you mean 'sample'"):
        run("list", "--task", "smple")
    with pytest.raises(PresetError, match=r"data 'digts'. Did you mean 'digits'"):
        run("list", "--data", "digts")


def test_a_task_is_each_command_that_takes_a_preset(zoo: Path) -> None:
    commands = {name: cli.get_command(None, name) for name in COMMANDS}  # type: ignore[arg-type]
    take_one = {
        name
        for name, command in commands.items()
        if any(parameter.name == "source" for parameter in command.params)
    }
    assert set(index.TASKS) == take_one | {"import"}
    for task in index.TASKS:
        assert task in run("list", "--help")
        none = {task: [] for task in ("import", "denoise", "counterfactual")}
        expected = {"train": ["trained", "untrained"], **none}.get(task, ["trained"])
        assert index.list_presets(task=task) == expected


def test_what_a_preset_is_for_depends_on_its_parts(zoo: Path) -> None:
    of = {
        "noisy": {"likelihood": {"name": "noise-model"}},
        "labelled": {"model": {**CONFIG["model"], "condition": {"name": "label", "classes": 10}}},  # type: ignore[dict-item]
    }
    for name, parts in of.items():
        write_preset(
            zoo / name,
            {**CONFIG, **parts},
            lambda path: write_tensors({"a": np.ones((2, 3), np.float32)}, path),
        )
    assert index.list_presets(task="denoise") == ["noisy"]
    assert index.list_presets(task="counterfactual") == ["labelled"]


def test_without_weights_the_commands_shown_can_be_run(zoo: Path) -> None:
    text = run("show", "untrained")
    assert "hvae train untrained --set train.epochs=N --output runs/untrained" in text
    assert "hvae sample runs/untrained" in text
    assert text.index("hvae train") < text.index("hvae sample")


def test_what_is_imported_says_so_first() -> None:
    text = run("show", "openai-cifar10")
    first = text.index("hvae import openai-vdvae CHECKPOINT -o ./openai-cifar10")
    assert first < text.index("hvae sample ./openai-cifar10")
    assert "hvae sample openai-cifar10" not in text
    assert "none: import" in run("list", "openai-cifar10")


def test_a_second_pull_prints_the_name_of_the_first(zoo: Path, tmp_path: Path) -> None:
    write_preset(
        tmp_path / "other", CONFIG, zoo / "trained" / "model.safetensors", info={"name": "mine"}
    )
    first = run("pull", str(tmp_path / "other"))
    second = run("pull", str(tmp_path / "other"))
    third = run("pull", "mine")
    assert [line.partition(":")[0] for line in (first, second, third)] == ["mine"] * 3


def test_a_damaged_preset_does_not_hide_the_others(zoo: Path) -> None:
    (zoo / "untrained" / "preset.yaml").write_text("a: [")
    listed = {preset["name"]: preset for preset in json.loads(run("list", "--json"))}
    assert listed["untrained"]["weights"] == "damaged"
    assert listed["trained"]["weights"] == "installed"
    assert "damaged" in run("list")


def test_a_pattern_that_matches_nothing(zoo: Path) -> None:
    with pytest.raises(PresetError, match=r"No preset matches 'trainde'. Did you mean 'trained'\?"):
        run("list", "trainde")


def test_show(zoo: Path) -> None:
    assert "Architecture" in run("show", "trained")
    shown = json.loads(run("show", "trained", "--json"))
    assert shown["figures"] == {"bits_per_dim": 3.25}
    assert shown["image_shape"] == [8, 8, 1]
    assert shown["latent_layers"] == 9
    assert shown["config"]["model"]["resolutions"] == [8, 4, 1]


def test_pull(zoo: Path, tmp_path: Path) -> None:
    assert "trained: already here" in run("pull", "trained")
    preset = write_preset(tmp_path / "mine", CONFIG, zoo / "trained" / "model.safetensors")
    pulled = json.loads(run("pull", str(preset.folder), "--json"))
    assert pulled["status"] == "pulled"
    assert pulled["folder"] == str(tmp_path / "home" / "presets" / "mine")
    with pytest.raises(PresetError, match="no trained weights exist yet"):
        run("pull", "untrained")


def test_a_slow_pull_tells_how_to_wait(zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: object, **__: object) -> None:
        raise SlowDownloadError("It comes too slowly.", "Run the command again.")

    monkeypatch.setattr("hvae_core.zoo.pull", slow)
    with pytest.raises(SlowDownloadError, match=r"slowly\. Run the command again\. --least-rate 0"):
        run("pull", "https://example.org/mine")


def test_prune(zoo: Path, tmp_path: Path) -> None:
    assert run("prune") == "Nothing to remove.\n"
    preset = write_preset(tmp_path / "mine", CONFIG, zoo / "trained" / "model.safetensors")
    run("pull", str(preset.folder))
    told = json.loads(run("prune", "mine", "--dry-run", "--json"))
    assert told["dry_run"]
    assert [item["name"] for item in told["removed"]] == ["mine"]
    assert "bytes would go" in run("prune", "mine", "--dry-run")
    assert run("prune", "mine").startswith("mine: asked for, ")
    assert not (tmp_path / "home" / "presets" / "mine").exists()


def test_push(zoo: Path, tmp_path: Path) -> None:
    (zoo / "trained" / "samples.png").write_bytes(b"a picture")
    evaluation = {"unit": "bits/dim", "images": 4, "split": "test", "dataset": "digits"}
    figures = tmp_path / "figures.json"
    figures.write_text(json.dumps({**evaluation, "bits_per_dim": 2.5}))
    target = str(tmp_path / "mine")
    arguments = ["push", "trained", target, "--name", "mine", "--summary", "my own", "--json"]
    pushed = json.loads(run(*arguments, "--figures", str(figures)))
    assert pushed == {"name": "mine", "target": target}
    shown = json.loads(run("show", target, "--json"))
    assert (shown["summary"], shown["figures"]["bits_per_dim"]["value"]) == ("my own", 2.5)
    figures.write_text("no JSON")
    with pytest.raises(PresetError, match=r"figures\.json holds no figures.*hvae evaluate trained"):
        run(*arguments, "--figures", str(figures), "--force")
    with pytest.raises(PresetError, match="no weights to push"):
        run("push", "untrained", target)


def test_verify(zoo: Path) -> None:
    assert run("verify") == "trained: ok, 1 tensors, 6 parameters\n"
    report = json.loads(run("verify", "trained", "--json"))[0]
    assert report["recorded"]
    with (zoo / "trained" / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(PresetError, match="not those recorded"):
        run("verify", "trained")
    with pytest.raises(PresetError, match="2 presets fail"):
        run("verify", "trained", "untrained")
