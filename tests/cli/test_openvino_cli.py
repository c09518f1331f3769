"""Commands on a machine whose only backend is OpenVINO."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import hvae_core as hvae
from hvae_core.backends import selection
from hvae_core.cli.main import main
from hvae_core.errors import BackendError

pytest.importorskip("openvino")
keras = pytest.importorskip("keras")
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "openvino", reason="of the openvino backend"),
]

CONFIG = {
    "model": {
        "resolutions": [8, 1], "image_channels": 1, "width": 8, "encoder_middle_width": 4,
        "decoder_middle_width": 4, "latent_width": 2, "encoder_blocks": 1, "decoder_blocks": 1,
        "readout": {"kind": "features"},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
    "data": "digits",
}  # fmt: skip


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("zoo") / "tiny"
    hvae.build(CONFIG).save(folder)
    return folder


def run(capsys, *arguments, code=0):
    with pytest.raises(SystemExit) as left:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    assert left.value.code == code, captured.err
    return captured.out or captured.err


def test_a_preset_is_exported_and_all_commands_take_the_export(preset, capsys, tmp_path):
    out = tmp_path / "out"
    report = json.loads(run(capsys, "export", preset, "-o", out, "--json"))
    assert report["on"] == "digits, test"
    assert report["elbo"] == pytest.approx(report["elbo_of_the_model"], abs=1e-3)
    for source, name in ((preset, "model"), (out, "export")):
        run(capsys, "sample", source, "-n", 3, "-o", tmp_path / f"{name}.npz")
        run(capsys, "reconstruct", source, "--count", 2, "--latents", 1,
            "-o", tmp_path / f"{name}-r.npz")  # fmt: skip
    for kind in ("", "-r"):
        with (
            np.load(tmp_path / f"model{kind}.npz") as one,
            np.load(tmp_path / f"export{kind}.npz") as other,
        ):
            assert (one["images"] != other["images"]).mean() < 0.01
    figures = json.loads(run(capsys, "evaluate", out, "--limit", 20, "--json"))
    assert figures["images"] == 20
    run(capsys, "sample", out, "-n", 5, "--mode", "throughput", "-o", tmp_path / "t.png")


@pytest.mark.skipif(
    any(map(os.path.exists, selection.ACCELERATORS)), reason="an accelerator is quicker"
)
def test_evaluate_takes_openvino_where_nothing_is_chosen(preset, capsys):
    environment = {key: value for key, value in os.environ.items() if key != "KERAS_BACKEND"}
    words = ["evaluate", str(preset), "--limit", "4", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "hvae_core.cli.main", *words],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("Evaluating with OpenVINO; --backend chooses another.")
    expected = json.loads(run(capsys, *words))
    assert json.loads(done.stdout)["elbo"] == pytest.approx(expected["elbo"], rel=1e-6)


def test_the_mode_is_of_exported_models(preset, capsys, tmp_path):
    target = tmp_path / "a.npz"
    text = run(capsys, "sample", preset, "--mode", "latency", "-o", target, code=2)
    assert "no exported model" in text


def test_training_is_refused(capsys, tmp_path):
    text = run(capsys, "train", "digits-vdvae", "--output", tmp_path / "run", code=2)
    assert "cannot train" in text
    assert not (tmp_path / "run").exists()
    with pytest.raises(BackendError, match="cannot train"):
        hvae.train(CONFIG, tmp_path / "run")
