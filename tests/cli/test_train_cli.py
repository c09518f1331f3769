import json
import os
import signal

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("sklearn")

from hvae_core.cli.main import main

TINY = """
model:
  resolutions: [8, 1]
  image_channels: 1
  width: 4
  encoder_middle_width: 4
  decoder_middle_width: 4
  latent_width: 2
  encoder_blocks: 1
  decoder_blocks: 1
  readout: {width: 4, middle_width: 4, blocks: 1}
likelihood: {name: logistic-mixture, mixtures: 2}
data: digits
train: {batch_size: 256, steps: 2, validation_images: 8, tensorboard: false, sample_epochs: 1}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def hvae(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        with pytest.raises(SystemExit) as left:
            main([str(argument) for argument in arguments])
        streams = capsys.readouterr()
        return left.value.code, streams.out, streams.err

    return run


def test_a_dry_run_tells_all_and_writes_nothing(hvae, file, tmp_path):
    code, out, err = hvae("train", file, "--dry-run", "--json", "--set", "train.batch_size=100")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["config"]["train"]["batch_size"] == 100
    assert (facts["steps_per_epoch"], facts["steps"]) == (12, 2)
    assert facts["parameters"] > 100
    # weights, gradient, two moments and the averages
    assert facts["state_bytes"] == 5 * 4 * facts["parameters"]
    assert facts["activation_bytes_estimate"] > 10_000
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_training_ends_with_where_it_is_and_how_good(hvae, file, tmp_path):
    code, out, err = hvae("train", file, "--output", "run", "--json")
    assert code == 0, err
    result = json.loads(out)
    assert (result["output"], result["steps"]) == ("run", 2)
    assert result["validation"]["bits_per_dim"] > 0
    assert "loss" in err
    assert (tmp_path / "run" / "samples" / "step-00000002.png").is_file()

    pictures = {path.name for path in (tmp_path / "run" / "plots").iterdir()}
    # the originals, and what is reconstructed from the latents of each scale
    assert {"samples-00.png", "samples-03.png", "hierarchy-00.png", "hierarchy-02.png"} <= pictures
    assert "What each scale holds" in (tmp_path / "run" / "report.html").read_text("utf-8")

    code, out, err = hvae("report", "run", "-o", "page.html", "--no-samples", "--json")
    assert code == 0, err
    assert json.loads(out) == {"report": "page.html"}
    assert "What each scale holds" not in (tmp_path / "page.html").read_text("utf-8")

    code, _, err = hvae("train", file, "--output", "run")
    assert code == 2
    assert "--resume" in err

    code, out, err = hvae("train", "run", "--resume", "--set", "train.steps=3")
    assert code == 0, err
    assert "3 updates" in out
    assert "bits/dim" in out

    code, _, err = hvae("train", "run", "--resume", "--set", "train.seed=5")
    assert code == 2
    assert "train.seed" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-preset"], "no-such-preset"),
        (["tiny.yaml", "--resume"], "--output"),
        (["tiny.yaml", "--set", "train.batch_sise=4"], "train.batch_size"),
        (["tiny.yaml", "--set", "train.batch_size=5000", "-o", "run"], "train.batch_size"),
        (["tiny.yaml", "--set", "train.steps=null", "-o", "run"], "train.epochs"),
        (["tiny.yaml", "-o", "tiny.yaml"], "is a file"),
        (["tiny.yaml", "-o", "run", "--devices", "7"], "train.devices names device 7"),
        (["tiny.yaml", "-o", "run", "--devices", "0,x"], "train.devices"),
        (["tiny.yaml", "-o", "run", "--weights", "no.safetensors"], "no file no.safetensors"),
        (["tiny.yaml", "-o", "run", "--weights", "openai-ffhq256"], "has no weights"),
        (["tiny.yaml", "-o", "run", "--weights", "digits-vdvae"], "does not fit the model"),
        (["tiny.yaml", "--allow-changed-data"], "--resume"),
        (["tiny.yaml", "--processes", "2"], "--coordinator"),
        (["tiny.yaml", "--coordinator", "host:1"], "--process-index"),
    ],
)
def test_bad_input_is_one_sentence(hvae, file, tmp_path, arguments, words):
    code, out, err = hvae("train", *arguments)
    assert code == 2
    assert words in err
    assert "Traceback" not in err
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.yaml"]


def test_a_run_whose_images_changed_goes_on_only_if_told_to(hvae, file, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (25, 8, 8), dtype=np.uint8)
    photos = [tmp_path / "photos" / f"{number:02d}.png" for number in range(25)]

    def put(*numbers):
        for place, number in enumerate(numbers):
            Image.fromarray(pixels[number]).save(photos[place])

    photos[0].parent.mkdir()
    put(*range(24))
    options = {"name": "image-folder", "root": "photos", "size": 8, "channels": 1}
    options["test_fraction"] = 0  # so that each is of the training split
    sets = [f"data.{key}={value}" for key, value in options.items()]
    sets += ["train.steps=1", "train.batch_size=8", "train.sample_epochs=0", "train.report=false"]
    code, _, err = hvae("train", file, "-o", "run", *(f"--set={item}" for item in sets))
    assert code == 0, err
    kept = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    for numbers, change in (
        (range(25), "1 came and 0 went"),  # added
        (range(1, 24), "0 came and 1 went"),  # removed
        ((24, *range(1, 24)), "1 came and 1 went"),  # replaced
    ):
        for path in photos:
            path.unlink(missing_ok=True)
        put(*numbers)
        code, out, err = hvae("train", "run", "--resume", "--set", "train.steps=2")
        assert (code, out) == (2, "")
        assert f"not those that the run in run was started with: {change}, of 24." in err
        assert "--allow-changed-data" in err
        assert "Traceback" not in err
        assert kept == {path: path.read_bytes() for path in kept}
    more = ("--set", "train.steps=2", "--allow-changed-data")
    code, out, err = hvae("train", "run", "--resume", *more)
    assert code == 0, err
    assert f"The run goes on with other training images: {change}, of 24." in err
    assert "2 updates" in out
    # What it went on with is what it and presets of it are known by from now on.
    code, _, err = hvae("train", "run", "--resume", "--set", "train.steps=3", "--dry-run")
    assert code == 0, err
    code, _, err = hvae("zoo", "push", "run", "./mine")
    assert code == 0, err
    at = ("--set", "data.root=photos", "--split", "train", "--json")
    code, out, err = hvae("evaluate", "./mine", *at)
    assert code == 0, err
    assert json.loads(out)["changed"] is False
    photos[1].unlink()
    assert json.loads(hvae("evaluate", "./mine", *at)[1])["changed"] is True


def test_the_beginning_is_told_and_an_interruption_says_how_to_go_on(hvae, file, monkeypatch):
    from hvae_core.training.loop import TrainingRun

    fit = TrainingRun.fit

    def interrupted(run, interruption):
        os.kill(os.getpid(), signal.SIGINT)
        return fit(run, interruption)

    monkeypatch.setattr(TrainingRun, "fit", interrupted)
    code, out, err = hvae("train", file, "--output", "a run")
    assert code == 130
    assert out == ""
    lines = [line for line in err.splitlines() if line]
    assert lines[1] == "Reading the data set digits."
    end = "Interrupted. The run is in a run, at step 0. Go on with: hvae train 'a run' --resume"
    assert lines[-1] == end
    monkeypatch.setattr(TrainingRun, "fit", fit)
    code, out, err = hvae("train", "a run", "--resume")
    assert code == 0, err
    assert "2 updates" in out
