"""A package of a third party with an optimizer, a schedule, a tracker, callbacks and a command."""

import json
import os
import subprocess
import sys

import pytest
import yaml
from test_third_party import SETTINGS

METADATA = "Metadata-Version: 2.1\nName: acme-hvae\nVersion: 1.2\n"
ENTRY_POINTS = """[hvae]
optimizer.signs = acme_signs
schedule.stairs = acme_stairs
tracker.notebook = acme_notebook
tracker.pencil = acme_pencil
command.greet = acme_greet
command.train = acme_greet
command.broken = acme_broken
command.wrong = acme_wrong
"""
SIGNS = '''
"""An optimizer of its own: steps along the signs of the gradient."""

import dataclasses

from hvae_core.plugins import ComponentSpec, hookimpl


@dataclasses.dataclass(frozen=True)
class Options:
    gain: float = 1.0


def build(options, settings):
    import keras
    from keras import ops

    class Signs(keras.optimizers.Optimizer):
        def update_step(self, gradient, variable, learning_rate):
            step = ops.sign(gradient) * learning_rate * options.gain
            self.assign_sub(variable, ops.cast(step, variable.dtype))

    return Signs(settings.learning_rate, weight_decay=settings.weight_decay or None)


@hookimpl
def hvae_component():
    return ComponentSpec(
        kind="optimizer", name="signs", summary="Steps along the gradient's signs",
        builder=build, config=Options, state_arrays=lambda options, settings: 0,
    )
'''
STAIRS = """
import dataclasses

from hvae_core.interfaces import Schedule
from hvae_core.plugins import ComponentSpec, hookimpl


@dataclasses.dataclass(frozen=True)
class Options:
    stairs: int = 2


class Stairs(Schedule):
    def __init__(self, options, settings):
        self.stairs, self.full = options.stairs, settings.learning_rate

    def rate(self, progress):
        return self.full * 0.5 ** int(progress.fraction * self.stairs)


@hookimpl
def hvae_component():
    return ComponentSpec(
        kind="schedule", name="stairs", summary="Halves in stairs", builder=Stairs, config=Options
    )
"""
NOTEBOOK = """
import dataclasses
import json

from hvae_core.errors import BadInputError
from hvae_core.interfaces import Tracker
from hvae_core.plugins import ComponentSpec, hookimpl


@dataclasses.dataclass(frozen=True)
class Options:
    file: str = "notebook.jsonl"


class Notebook(Tracker):
    def __init__(self, options):
        self.options = options

    def _write(self, **values):
        with self.path.open("a") as file:
            file.write(json.dumps(values) + "\\n")

    def start(self, config, name, folder, step):
        self.path = folder / self.options.file
        self._write(config=config, name=name, step=step)

    def scalars(self, step, values):
        self._write(step=step, values=dict(values))

    def image(self, step, name, image):
        self._write(step=step, image=name, shape=image.shape)

    def finish(self):
        self._write(end=True)


@hookimpl
def hvae_component():
    return ComponentSpec(
        kind="tracker", name="notebook", summary="Lines in a file", builder=Notebook, config=Options
    )


@hookimpl
def hvae_training_callbacks(config):
    from hvae_core.training.callbacks import Callback

    class Bell(Callback):
        def finished(self, run):
            run.note(f"The bell rings after {run.step} updates.")

        def note(self, run, text):
            with (run.output / "bell.txt").open("a") as file:
                file.write(text + "\\n")

    return [Bell()]
"""
PENCIL = """
from acme_notebook import Notebook, Options

from hvae_core.plugins import ComponentSpec, hookimpl


class Pencil(Notebook):
    def start(self, config, name, folder, step):
        pass

    def scalars(self, step, values):
        raise OSError("the pencil broke")


@hookimpl
def hvae_component():
    return ComponentSpec(
        kind="tracker", name="pencil", summary="Breaks", builder=Pencil, config=Options
    )
"""
GREET = '''
import click

from hvae_core.errors import BadInputError
from hvae_core.plugins import ComponentSpec, hookimpl


@click.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def greet(name, as_json):
    """Greet NAME."""
    if name == "nobody":
        raise BadInputError("There is nobody to greet.", "Name somebody.")
    click.echo(f\'{{"hello": "{name}"}}\' if as_json else f"Hello {name}.")


@hookimpl
def hvae_component():
    return ComponentSpec(
        kind="command", name="greet", summary="Greets", builder="acme_greet:greet"
    )
'''
WRONG = """
from hvae_core.plugins import ComponentSpec, hookimpl


@hookimpl
def hvae_component():
    return ComponentSpec(kind="command", name="wrong", summary="No command", builder=dict)
"""
MODULES = {
    "acme_signs": SIGNS, "acme_stairs": STAIRS, "acme_notebook": NOTEBOOK, "acme_pencil": PENCIL,
    "acme_greet": GREET, "acme_broken": "import a_package_that_is_not_there", "acme_wrong": WRONG,
}  # fmt: skip
CHANGES = [
    *SETTINGS, "train.optimizer.name=signs", "train.optimizer.gain=0.5",
    "train.learning_rate=1e-3", "train.schedule=stairs", "train.trackers=[notebook,pencil]",
    "train.log_steps=1", "train.report=false",
]  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The package as pip would install it."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "acme_hvae-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    for name, source in MODULES.items():
        (folder / f"{name}.py").write_text(source)
    return folder


@pytest.fixture
def hvae(site, tmp_path):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "hvae_core.cli.main", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(site)}, cwd=tmp_path,
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    return run


def train(hvae, output):
    words = [word for setting in CHANGES for word in ("--set", setting)]
    return hvae("train", "digits-vdvae", *words, "--output", output)


def test_a_run_with_all_of_them(hvae, tmp_path):
    run = tmp_path / "run"
    done = train(hvae, run)
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load((run / "config.yaml").read_text())
    assert config["train"]["optimizer"] == {"name": "signs", "gain": 0.5}
    assert config["train"]["schedule"] == "stairs"
    assert config["train"]["trackers"] == ["notebook", "pencil"]
    assert set(config["plugins"]) == {
        "optimizer.signs", "schedule.stairs", "tracker.notebook", "tracker.pencil",
    }  # fmt: skip
    lines = [json.loads(line) for line in (run / "notebook.jsonl").read_text().splitlines()]
    assert lines[0]["name"] == "run"
    assert lines[0]["config"]["train"]["optimizer"]["gain"] == 0.5
    rates = [
        line["values"]["train/learning_rate"]
        for line in lines
        if "train/learning_rate" in line.get("values", {})
    ]
    assert rates == pytest.approx([1e-3, 1e-3, 5e-4, 5e-4])
    assert any("validation/elbo" in line.get("values", {}) for line in lines)
    assert [line["image"] for line in lines if "image" in line] == ["samples"]
    assert lines[-1] == {"end": True}
    assert "The bell rings after 4 updates." in done.stderr
    broken, rings = (run / "bell.txt").read_text().splitlines()
    assert rings == "The bell rings after 4 updates."
    assert not (run / "report.html").exists()
    # a tracker that breaks harms nothing
    assert broken.startswith("The tracker pencil failed and is left out from here on: the pencil")
    assert done.stderr.count(broken) == 1


def test_they_are_listed_and_shown(hvae):
    rows = json.loads(hvae("plugins", "list", "--json").stdout)
    found = {(row["kind"], row["name"]) for row in rows if row["distribution"] == "acme-hvae"}
    assert found >= {("optimizer", "signs"), ("schedule", "stairs"), ("tracker", "notebook"),
                     ("command", "greet")}  # fmt: skip
    done = hvae("plugins", "show", "optimizer.signs")
    assert "gain: float = 1.0" in done.stdout
    assert "Greets" in hvae("plugins", "show", "command.greet").stdout


def test_optimizer_and_tracker_keep_their_contracts(site):
    """In one process: it imports Keras for long."""
    code = (
        "from hvae_core.cli.main import main\n"
        "for words in (['tracker.notebook'], ['optimizer.signs', '--options', '{gain: 0.5}']):\n"
        "    try: main(['plugins', 'check', *words, '--json'])\n"
        "    except SystemExit as left: assert left.code == 0, words\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    decoder, found = json.JSONDecoder(), []
    rest = done.stdout.strip()
    while rest:
        report, end = decoder.raw_decode(rest)
        found.append(report)
        rest = rest[end:].strip()
    tracker, optimizer = found
    assert tracker["sound"]
    assert optimizer["sound"]
    assert optimizer["passed"] > 8


def test_a_command_is_listed_from_metadata_and_behaves_as_ours(hvae):
    shown = hvae("--help")
    assert shown.returncode == 0, shown.stderr
    assert "Commands of other packages:" in shown.stdout
    assert "greet   from acme-hvae 1.2" in shown.stdout
    assert shown.stdout.count(" train ") == 1
    assert hvae("greet", "you").stdout == "Hello you.\n"
    assert json.loads(hvae("greet", "you", "--json").stdout) == {"hello": "you"}
    assert "Greet NAME." in hvae("greet", "--help").stdout
    bad = hvae("greet", "nobody")
    assert (bad.returncode, bad.stderr) == (2, "Error: There is nobody to greet. Name somebody.\n")
    error = json.loads(hvae("greet", "nobody", "--json").stdout)["error"]
    assert error["code"] == "bad-input"
    assert hvae("greet").returncode == 2
    near = hvae("gret", "you")
    assert near.stderr == "Error: There is no command 'gret'. Did you mean 'greet'?\n"
    assert hvae("acme-hvae:greet", "you").stdout == "Hello you.\n"


def test_a_broken_command_is_told_and_harms_nothing(hvae):
    done = hvae("broken")
    assert done.returncode == 2
    assert "command.broken of acme-hvae 1.2 cannot be loaded" in done.stderr
    assert "a_package_that_is_not_there" in done.stderr
    assert "Traceback" not in done.stderr
    assert "expected a click.Command" in hvae("wrong").stderr
    # It cannot take the place of one of ours.
    assert "Train a model." in hvae("train", "--help").stdout
    problems = json.loads(hvae("doctor", "--json").stdout)["problems"]
    assert "plugin command.train of acme-hvae: hvae has a command of this name" in problems


def test_help_loads_nothing_of_it(site):
    code = (
        "import sys; from hvae_core.cli.main import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name.startswith('acme') for name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": str(site)}
    assert subprocess.run([sys.executable, "-c", code], env=environment).returncode == 0
