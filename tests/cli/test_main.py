import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from hvae_core.cli.doctor import PACKAGES
from hvae_core.cli.main import COMMANDS, cli, main

ROOT = Path(__file__).resolve().parents[2]
LIGHT = ["keras", "jax", "torch", "tensorflow", "openvino", "pydantic", "hvae_plugins"]


def run(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


def test_help_lists_every_command_and_loads_nothing_heavy():
    code = (
        "import sys; from hvae_core.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"bad = [m for m in {LIGHT} if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in COMMANDS:
        assert name in done.stdout


@pytest.mark.parametrize("arguments", [["plugins", "list"], ["zoo", "list"], ["--version"]])
def test_listings_load_no_backend(arguments):
    code = (
        "import sys; from hvae_core.cli.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as left: assert not left.code\n"
        f"bad = [m for m in {LIGHT[:5]} if m in sys.modules]; sys.exit(str(bad) if bad else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    command = cli.get_command(None, name)
    assert command.help
    groups = [command, *getattr(command, "commands", {}).values()]
    for one in groups:
        for parameter in one.params:
            assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_bad_input_is_one_sentence_and_code_2(capsys):
    code, out, err = run(capsys, "smple")
    assert (code, out) == (2, "")
    assert err == "Error: There is no command 'smple'. Did you mean 'sample'?\n"
    code, _, err = run(capsys, "--backend", "jaxx", "zoo", "list")
    assert code == 2
    assert "Unknown backend 'jaxx'. Did you mean 'jax'?" in err
    code, _, err = run(capsys, "sample", "digits-vdva")
    assert code == 2
    assert "Did you mean 'digits-vdvae'?" in err
    code, _, err = run(capsys, "sample", "digits-vdvae", "-n", "0")
    assert code == 2


def test_errors_are_json_under_json(capsys):
    code, out, err = run(capsys, "zoo", "show", "nothing-like-it", "--json")
    error = json.loads(out)["error"]
    assert (code, err) == (2, "")
    assert error["code"] == "preset"
    assert "nothing-like-it" in error["message"]


def test_configuration_errors_name_the_key(capsys, tmp_path):
    code, _, err = run(
        capsys, "train", "digits-vdvae", "--set", "train.lerning_rate=1", "-o", str(tmp_path / "x")
    )
    assert code == 2
    assert "'train.lerning_rate'. Did you mean 'train.learning_rate'?" in err
    assert not (tmp_path / "x").exists()


@pytest.mark.every_backend
def test_doctor(capsys):
    code, out, _ = run(capsys, "doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["backend"] in report["backends"]
    assert "digits-vdvae" in report["presets"]
    assert report["problems"] == []


def test_doctor_knows_the_packages_of_every_extra():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = extras["optional-dependencies"]
    (users,) = re.findall(r"^hvae\[(.*)\]$", " ".join(extras["all"]))
    needed = {
        re.match(r"[\w-]+", requirement)[0]
        for extra in users.split(",")
        for requirement in extras[extra]
    }
    assert needed - {"hvae"} == {name for names in PACKAGES.values() for name in names}


def test_doctor_tells_of_a_damaged_preset(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("HVAE_HOME", str(tmp_path))
    broken = tmp_path / "presets" / "broken-one"
    broken.mkdir(parents=True)
    (broken / "preset.yaml").write_text("summary: [1")
    code, out, _ = run(capsys, "doctor", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["presets"]["broken-one"] == "damaged"
    assert report["presets"]["digits-vdvae"] == "installed"
    (problem,) = report["problems"]
    assert problem.startswith(f"preset broken-one: {broken / 'preset.yaml'} ")


def test_plugins(capsys):
    code, out, _ = run(capsys, "plugins", "list", "--kind", "likelihood", "--json")
    assert {row["name"] for row in json.loads(out)} >= {"bernoulli", "logistic-mixture"}
    code, out, _ = run(capsys, "plugins", "show", "logistic-mixture")
    assert code == 0
    assert "mixtures: int > 0 = 10" in out
    assert run(capsys, "plugins", "list", "--kind", "flwo")[0] == 2
    assert run(capsys, "plugins", "show", "nothing")[0] == 2


def test_config_show_and_schema(capsys):
    import yaml

    _, out, _ = run(capsys, "config", "show", "digits-vdvae", "--set", "train.seed=7")
    assert yaml.safe_load(out)["train"]["seed"] == 7
    _, out, _ = run(capsys, "config", "schema")
    assert json.loads(out)["properties"]["model"]


@pytest.mark.parametrize("json_flag", [[], ["--json"]])
def test_a_full_disk_is_a_sentence_and_code_1(capsys, monkeypatch, json_flag):
    def full():
        raise OSError(28, "No space left on device", "samples.png")

    monkeypatch.setattr("hvae_core.cli.doctor.report", full)
    code, out, err = run(capsys, "doctor", *json_flag)
    text = json.loads(out)["error"]["message"] if json_flag else err
    assert code == 1
    assert "samples.png: No space left on device." in text
    assert "Traceback" not in err


@pytest.mark.parametrize("said", ["Unable to allocate 128. GiB", ""])
def test_too_little_memory_is_one_sentence(capsys, monkeypatch, said):
    def full():
        raise MemoryError(said)

    monkeypatch.setattr("hvae_core.cli.doctor.report", full)
    code, _, err = run(capsys, "doctor")
    told = f": {said}" if said else ""
    assert code == 1
    assert err == (
        f"Error: There is not enough memory{told}. Ask for fewer images or draws, or smaller "
        "ones; for training set a smaller train.batch_size, train.accumulate or train.remat.\n"
    )


def test_what_is_no_lack_of_memory_is_a_bug_and_not_hidden(monkeypatch):
    def broken():
        raise RuntimeError("out of range")

    monkeypatch.setattr("hvae_core.cli.doctor.report", broken)
    with pytest.raises(RuntimeError, match="out of range"):
        main(["doctor"])


def test_an_interrupt_is_code_130(capsys, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("hvae_core.cli.doctor.report", interrupted)
    assert run(capsys, "doctor")[0] == 130


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "digits-vdvae"], ["evaluate", "digits-vdvae"], ["reconstruct", "digits-vdvae"],
        ["interpolate", "digits-vdvae"], ["train", "digits-vdvae", "--dry-run"],
    ],
    ids=lambda arguments: arguments[0],
)  # fmt: skip
def test_the_backend_is_chosen_before_keras_is_imported(arguments, tmp_path):
    """Imported earlier, Keras would take its own default, which may not be installed."""
    done = subprocess.run(
        [sys.executable, "-m", "hvae_core.cli.main", *arguments],
        env={**os.environ, "KERAS_BACKEND": "theano"}, cwd=tmp_path,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Unknown backend 'theano'" in done.stderr
    assert "Traceback" not in done.stderr
