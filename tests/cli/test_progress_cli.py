"""Commands that compute on many images tell on stderr how far they are."""

import functools

import pytest

import hvae
from hvae_core.cli import common
from hvae_core.cli.main import main

pytest.importorskip("sklearn")

CONFIG = {
    "model": {
        "resolutions": [8, 2],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 2,
        "decoder_middle_width": 2,
        "latent_width": 1,
        "encoder_blocks": [0, 1],
        "decoder_blocks": 1,
        "no_bias_above": 0,
        "readout": {"kind": "features"},
        "condition": {"name": "label", "classes": 10},
    },
    "likelihood": "noise-model",
    "data": {"name": "digits"},
}
COMMANDS = {
    "sample": (("-n", 3, "--condition", 1), "sampling: 3 of 3"),
    "encode": (("--count", 3), "encoding: 3 of 3"),
    "reconstruct": (("--count", 3), "reconstructing: 3 of 3"),
    "denoise": (("--count", 3, "-n", 2, "--draws", 1), "denoising: 6 of 6"),
    "complete": (("--count", 3, "-n", 2, "--measurement", "columns:0.5"), "completing: 6 of 6"),
    "interpolate": (("--steps", 3, "--condition", 1), "interpolating: 3 of 3"),
    "counterfactual": (("--count", 3, "--condition", 1), "computing counterfactuals: 3 of 3"),
    "evaluate": (("--limit", 3), "evaluating: 3 of 3"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(hvae.build(CONFIG).save(tmp_path_factory.mktemp("models") / "m"))


@pytest.fixture
def at_once(monkeypatch):
    """A line after each batch, in place of one a minute."""
    told_at_once = functools.partial(common.PlainProgress, seconds=0)
    monkeypatch.setattr(common, "PlainProgress", told_at_once)


def told_by(capsys, *arguments):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in arguments])
    told = capsys.readouterr().err
    assert left.value.code == 0, told
    return told.splitlines()


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("command", COMMANDS)
def test_commands_tell_their_progress(command, folder, capsys, tmp_path):
    words, told = COMMANDS[command]
    output = () if command == "evaluate" else ("-o", tmp_path / "out.npz")
    assert told in told_by(capsys, command, folder, *words, *output)


@pytest.mark.usefixtures("at_once")
def test_decode_tells_its_progress(folder, capsys, tmp_path):
    latents, output = tmp_path / "z.npz", tmp_path / "out.npz"
    told_by(capsys, "encode", folder, "--count", 3, "-o", latents)
    assert "decoding: 3 of 3" in told_by(
        capsys, "decode", folder, latents, "--condition", 1, "-o", output
    )
