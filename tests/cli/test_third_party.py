"""Packages of third parties: the one that is kept as an example."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hvae-radial-flow"
SETTINGS = [
    "model.resolutions=[8,4,1]", "model.width=8", "model.encoder_middle_width=4",
    "model.decoder_middle_width=4", "model.latent_width=2", "model.encoder_blocks=1",
    "model.decoder_blocks=1", "model.readout.width=8", "model.readout.middle_width=4",
    "model.readout.blocks=0", "likelihood.mixtures=2", "train.epochs=null",
    "train.steps=4", "train.batch_size=8",
    "train.warmup_steps=0", "train.validation_images=16", "train.tensorboard=false",
    "train.report=false",
]  # fmt: skip

# Not find_spec: before Python 3.12 setuptools takes a look for pip as a sign that pip runs, and
# fails to import from then on, also for PyTorch's Inductor.
INSTALLED = {distribution.name for distribution in distributions()}
pytestmark = pytest.mark.skipif(
    not {"pip", "setuptools"} <= INSTALLED, reason="pip and setuptools are needed"
)


def call(*arguments, path=None, cwd=None):
    """Run Python on ``arguments``, with the packages in ``path`` installed too."""
    environment = {**os.environ, "PYTHONPATH": str(path) if path else ""}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=environment, cwd=cwd, capture_output=True, text=True, check=False,
    )  # fmt: skip


def hvae(*arguments, path=None):
    return call("-m", "hvae_core.cli.main", *arguments, path=path)


def install(folder, *packages):
    """Install packages into a folder."""
    # From copies: a build leaves files beside the source.
    copies = [folder.parent / f"{package.name}-source" for package in packages]
    for package, copy in zip(packages, copies, strict=True):
        shutil.copytree(package, copy)
    done = call(
        "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index",
        "--target", folder, *copies,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return install(tmp_path_factory.mktemp("example") / "site", EXAMPLE)


def test_the_example_is_listed_and_keeps_its_contract(example):
    rows = json.loads(hvae("plugins", "list", "--kind", "flow", "--json", path=example).stdout)
    assert ("radial", "hvae-radial-flow") in {(r["name"], r["distribution"]) for r in rows}
    arguments = ("-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", EXAMPLE / "tests")
    done = call("-m", "pytest", *arguments, EXAMPLE / "tests", path=example)
    assert done.returncode == 0, done.stdout
    assert int(done.stdout.split(" passed")[0].split()[-1]) > 15


def test_the_example_trains_and_loads_in_another_process(example, tmp_path):
    run = tmp_path / "run"
    changes = [
        word for setting in ["model.flow.name=radial", *SETTINGS] for word in ("--set", setting)
    ]
    done = hvae("train", "digits-vdvae", *changes, "--output", run, path=example)
    assert done.returncode == 0, done.stderr
    arguments = ("evaluate", run, "--limit", "8", "--json")
    done = hvae(*arguments, path=example)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert len(figures["kl_per_layer"]) == 3
    assert figures["bits_per_dim"] > 0
    # without the package
    done = hvae(*arguments)
    assert done.returncode == 2
    answer = done.stdout + done.stderr
    assert "flow.radial" in answer
    assert "pip install hvae-radial-flow" in answer
    assert "Traceback" not in answer


def test_a_package_is_written_once(tmp_path):
    done = hvae("plugins", "new", "neural-shift", "-o", tmp_path)
    assert done.returncode == 0, done.stderr
    again = hvae("plugins", "new", "neural-shift", "-o", tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


@pytest.mark.parametrize(
    ("name", "message"), [("Radial", "cannot name a flow"), ("sylvester", "hvae has it")]
)
def test_a_bad_name_is_refused(name, message, tmp_path):
    done = hvae("plugins", "new", name, "-o", tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert not list(tmp_path.iterdir())
