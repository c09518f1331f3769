"""What goes wrong by the user's hand: one sentence, the right exit code, nothing lost.

Each case prepares a place, gives a command line, and names what its sentence must say.
"""

import errno
import gzip
import os
import shutil

import numpy as np
import pytest
import yaml
from PIL import Image

import hvae_core as hvae
from hvae_core.cli.main import main
from hvae_core.plugins import manager

pytest.importorskip("sklearn")

CONFIG = {
    "model": {
        "resolutions": [8, 1],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": 1,
        "decoder_blocks": 1,
        "readout": {"kind": "features"},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
    "data": "digits",
    "train": {
        "steps": 2,
        "batch_size": 64,
        "sample_epochs": 0,
        "tensorboard": False,
        "report": False,
    },
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "tiny"
    hvae.build(CONFIG).save(folder)
    return folder


@pytest.fixture
def place(tmp_path, saved, monkeypatch):
    """A folder with a preset, a configuration and some damaged files; the working folder."""
    shutil.copytree(saved, tmp_path / "tiny")
    (tmp_path / "good.yaml").write_text(yaml.safe_dump(CONFIG))
    (tmp_path / "broken.yaml").write_text("model: [1, 2\n")
    (tmp_path / "list.yaml").write_text("- 1\n")
    (tmp_path / "typo.yaml").write_text("trian: {steps: 3}\n")
    (tmp_path / "noise.png").write_bytes(b"\x89PNG but not really")
    Image.new("L", (8, 8)).save(tmp_path / "fine.png")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "keep.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def truncate_weights(place):
    path = place / "tiny" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def random_weights(place):
    (place / "tiny" / "model.safetensors").write_bytes(os.urandom(5000))


def huge_header(place):
    (place / "tiny" / "model.safetensors").write_bytes((2**60).to_bytes(8, "little") + b"{}")


def other_weights(place):
    wide = hvae.build(CONFIG, ["model.width=8"])
    wide.save(place / "wide")
    shutil.copy(place / "wide" / "model.safetensors", place / "tiny" / "model.safetensors")


def array_for_archive(place):
    np.save(place / "array.npy", np.zeros((1, 8, 8, 1), np.uint8))
    (place / "array.npy").rename(place / "array.npz")


def flip_a_byte(place):
    path = place / "tiny" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def truncated_mnist(place):
    (place / "mnist").mkdir()
    whole = gzip.compress(bytes(16) + bytes(28 * 28 * 3))
    for split in ("train", "t10k"):
        (place / "mnist" / f"{split}-images-idx3-ubyte.gz").write_bytes(whole[:-9])


def damaged_parquet(place):
    (place / "parquet").mkdir()
    (place / "parquet" / "train-00000-of-00001.parquet").write_bytes(b"PAR1 no more PAR1")


def read_only_output(place):
    os.chmod(place / "folder", 0o500)


def current_folder(place):
    os.chdir(place / "folder")  # `place` goes back


def nothing(place):
    pass


CASES = {
    "unknown command": (nothing, "smple tiny", "Did you mean 'sample'"),
    "unknown backend": (nothing, "--backend jaxx doctor", "Did you mean 'jax'"),
    "unknown preset": (nothing, "sample digits-vdva", "Did you mean 'digits-vdvae'"),
    "no weights": (nothing, "sample openai-ffhq256", "hvae train openai-ffhq256"),
    "missing folder": (nothing, "sample ./nowhere", "no preset at"),
    "folder that is no preset": (nothing, "sample ./full", "is no preset"),
    "missing file": (nothing, "train nowhere.yaml", "There is no file nowhere.yaml"),
    "an override in a section that another override empties": (
        nothing, "train good.yaml --set train.steps=5 --set train={}", "train.epochs is not given",
    ),
    "no YAML": (nothing, "train broken.yaml", "broken.yaml line"),
    "a list": (nothing, "train list.yaml", "list.yaml holds a list"),
    "unknown section": (nothing, "train typo.yaml", "Did you mean 'train'"),
    "unknown key": (nothing, "train good.yaml --set train.seeed=1", "Did you mean 'train.seed'"),
    "wrong type": (nothing, "train good.yaml --set model.width=wide", "model.width is 'wide'"),
    "wrong number of scales": (
        nothing, "train good.yaml --set model.width=[1,2,3]", "model.width has 3 values",
    ),
    "impossible value": (nothing, "train good.yaml --set train.batch_size=0", "batch_size is 0"),
    "contradiction": (
        nothing, "train good.yaml --set train.epochs=1 --set train.steps=1",
        "set one of them to null",
    ),
    "no length": (nothing, "train good.yaml --set train.steps=null", "train.epochs is not given"),
    "malformed override": (nothing, "train good.yaml --set train", "not of the form key=value"),
    "unknown component": (
        nothing, "train good.yaml --set likelihood=bernouli", "Did you mean 'bernoulli'",
    ),
    "missing flow plugin": (
        nothing, "train good.yaml --set model.flow=radial", "no flow named 'radial'",
    ),
    "wrong image size": (
        nothing, "train good.yaml --set model.resolutions=[16,1]", "have shape [8, 8, 1]",
    ),
    "wrong channels": (
        nothing, "train good.yaml --set model.image_channels=3", "have shape [8, 8, 1]",
    ),
    "batch above the data": (
        nothing, "train good.yaml --set train.batch_size=5000", "train.batch_size is 5000",
    ),
    "output not empty": (nothing, "train good.yaml -o full", "full is not empty"),
    "output is a file": (nothing, "train good.yaml -o good.yaml", "good.yaml is a file"),
    "truncated weights": (truncate_weights, "sample ./tiny", "model.safetensors"),
    "random weights": (random_weights, "sample ./tiny", "model.safetensors"),
    "oversized header": (huge_header, "sample ./tiny", "model.safetensors"),
    "another model's weights": (other_weights, "sample ./tiny", "encoder.stem.kernel"),
    "wrong sha256": (flip_a_byte, "zoo verify ./tiny", "sha256"),
    "negative temperature": (nothing, "sample ./tiny --temperature -1", "temperature is -1"),
    "no images": (nothing, "sample ./tiny -n 0", "0 is not in the range"),
    "odd output": (nothing, "sample ./tiny -o a.gif", "neither a .png"),
    "missing image": (nothing, "reconstruct ./tiny --images no.png", "There is no file no.png"),
    "damaged image": (
        nothing, "reconstruct ./tiny --images noise.png", "noise.png cannot be read as an image",
    ),
    "missing latents": (nothing, "decode ./tiny no.npz", "There is no file no.npz"),
    "latents of a strange name": (nothing, "decode ./tiny noise.png", "noise.png is neither"),
    "weights for latents": (
        nothing, "decode ./tiny ./tiny/model.safetensors", "model.safetensors holds no latents",
    ),
    "odd output for latents": (nothing, "encode ./tiny -o z.pt", "z.pt is neither"),
    "too many layers": (nothing, "encode ./tiny --images fine.png --layers 99", "layers is 99"),
    "a folder without images": (nothing, "encode ./tiny --images tiny", "tiny has no images"),
    "a missing archive": (nothing, "encode ./tiny --images no.npz", "There is no file no.npz"),
    "an array for an archive": (
        array_for_archive, "encode ./tiny --images array.npz", "array.npz is an .npy file",
    ),
    "too many latents": (
        nothing, "reconstruct ./tiny --images fine.png --latents 99", "latents is 99",
    ),
    "unknown measurement": (
        nothing, "complete ./tiny --measurement colums:0.25", "Did you mean 'columns'",
    ),
    "no measurement": (nothing, "complete ./tiny", "Name one, such as --measurement"),
    "more lines than there are": (
        nothing, "complete ./tiny --measurement columns:9", "known is 9; the images have 8",
    ),
    "a name that is too long for a file": (
        nothing, f"sample {'x' * 300}", "There is no preset",
    ),
    "a configuration's name that is too long": (
        nothing, f"train {'x' * 300}.yaml -o runs/x", "x.yaml",
    ),
    "an output whose name is too long": (
        nothing, f"sample ./tiny -n 1 -o {'x' * 300}.png", "x.png",
    ),
    "the home of nobody": (
        nothing, "sample ~nosuchuser/x", "there is no user 'nosuchuser'",
    ),
    "the data in nobody's home": (
        nothing, "data prepare cifar10 --set data.root=~nosuchuser", "data.root: the path",
    ),
    "arrays in nobody's home": (
        nothing,
        "train ./tiny --set data.name=arrays --set data.files=a.npy --set data.root=~nosuchuser "
        "-o runs/x",
        "data.root: the path",
    ),
    "the encoder's channels of nothing": (
        nothing, "train ./tiny --set model.input_channels=2 -o runs/x",
        "model.input_channels is 2 and an image has 1, but measurement is none",
    ),
    "an impossible fraction": (
        nothing, "complete ./tiny --measurement columns:1.5", "a fraction is above 0",
    ),
    "a factor that does not divide": (
        nothing, "complete ./tiny --measurement downsample:3", "which does not divide images",
    ),
    "an odd number of layers": (
        nothing, "complete ./tiny --measurement blur:1 --layers some", "--layers is 'some'",
    ),
    "too many layers of a completion": (
        nothing, "complete ./tiny --measurement blur:1 --layers 99", "layers is 99",
    ),
    "known pixels that are changed": (
        nothing, "complete ./tiny --measurement blur:1 --keep-known", "Leave out --keep-known",
    ),
    "a folder for a completion": (
        nothing, "complete ./tiny --measurement blur:1 -o some", "neither a .png nor an .npz",
    ),
    "a folder with a picture's name": (
        lambda place: (place / "is.png").mkdir(), "complete ./tiny --measurement blur:1 -o is.png",
        "is.png is a folder",
    ),
    "a fill that is no value": (
        nothing, "complete ./tiny --measurement columns:2,fill=300", "fill is 300; the images'",
    ),
    "a fill that is no number, in training": (
        nothing, "train ./tiny --set measurement=columns:2,fill=.nan -o x", "'fill' is nan",
    ),
    "more images than there are": (
        nothing, "complete ./tiny --measurement blur:1 --count 9999", "--count is 9999; the split",
    ),
    "a count of one's own images": (
        nothing, "complete ./tiny --measurement blur:1 --images fine.png --count 2",
        "--count is given, but it is for images of a data set",
    ),
    "draws of no measurement": (
        nothing, "evaluate ./tiny --draws 4", "--draws needs --measurement",
    ),
    "a bound of a measurement": (
        nothing, "evaluate ./tiny --measurement blur:1 --importance-samples 4",
        "--importance-samples cannot be combined with --measurement",
    ),
    "kept bounds of a measurement": (
        nothing, "evaluate ./tiny --measurement blur:1 --bounds bounds.json",
        "--bounds cannot be combined with --measurement",
    ),
    "bounds kept in another file": (
        nothing, "evaluate ./tiny --bounds fine.png", "fine.png is not valid JSON",
    ),
    "unknown split": (nothing, "evaluate ./tiny --split tset", "Did you mean 'test'"),
    "unknown data set": (nothing, "evaluate ./tiny --dataset digitz", "Did you mean 'digits'"),
    "another shape of data": (
        truncated_mnist, "evaluate ./tiny --dataset mnist --set data.root=mnist", "mnist",
    ),
    "damaged data": (
        damaged_parquet,
        "train good.yaml --set data.name=parquet --set data.root=parquet",
        "train-00000-of-00001.parquet",
    ),
    "missing data": (
        nothing, "train good.yaml --set data.name=cifar10 --set data.root=nowhere", "nowhere",
    ),
    "unknown plugin": (nothing, "plugins show botleneck", "Did you mean 'bottleneck'"),
    "unknown kind": (nothing, "plugins list --kind flwo", "Did you mean 'flow'"),
    "resuming nothing": (nothing, "train good.yaml --resume", "--output"),
    "the current folder for a preset": (
        current_folder, "zoo push ../tiny .", "place of .: it is the current folder",
    ),
    "the current folder for an import": (
        current_folder, "import openai-vdvae ../fine.png -o .",
        "place of .: it is the current folder",
    ),
    "the root for an import": (
        nothing, "import openai-vdvae fine.png -o /", "place of /: the current folder lies in it",
    ),
    "more images than a number can say": (
        nothing, f"sample ./tiny -n {'9' * 30}", "is too large; it may be 2147483647 at most",
    ),
    "a number of images that cannot be read": (
        nothing, f"sample ./tiny -n {'9' * 5000}", "is too large; it may be 2147483647 at most",
    ),
    "a seed that is too large": (
        nothing, f"sample ./tiny --seed {2**63}", "'9223372036854775808' is too large",
    ),
    "a size that cannot be read": (nothing, f"sample ./tiny --size {'9' * 5000}", "is no size"),
    "a number of an image that cannot be read": (
        nothing, f"interpolate ./tiny --second {'9' * 5000}", "--second is '9999",
    ),
    "a fraction that is no number": (
        nothing, "encode ./tiny --images fine.png --keep nan", "'nan' is no finite number",
    ),
    "statistics that are missing, of a model that is missing": (
        nothing, "encode ./nowhere --keep 0.5 --statistics no.npz", "There is no file no.npz",
    ),
    "a guidance that is no number": (
        nothing, "sample ./tiny --guidance inf", "'inf' is no finite number",
    ),
    "a grid of too many draws": (
        nothing, "complete ./tiny --measurement blur:1 -n 2147483647", "A grid of",
    ),
    "a grid of too many steps": (nothing, "interpolate ./tiny --steps 2147483647", "A grid of"),
    "a grid of too many single draws": (
        nothing, "denoise ./tiny --count 1 -n 2147483647 --draws 2147483647", "A grid of",
    ),
}  # fmt: skip

#: options that would be ignored: the command, the option, and why it would be
IGNORED = [
    *(
        (f"{command} ./tiny --images fine.png", option, "--images are given")
        for command in ("encode", "reconstruct", "denoise", "complete")
        for option in ("--count 2", "--dataset mnist", "--split test", "--set data.root=x")
    ),
    ("counterfactual ./tiny --condition 1 --images fine.png", "--split test", "--images are given"),
    *(
        ("complete ./tiny --measured any.npz", option, "--measured has what is known")
        for option in (
            "--images fine.png", "--count 2", "--dataset mnist", "--split test",
            "--set data.root=x", "--measurement columns:2",
        )
    ),
    *(
        ("interpolate ./tiny --first fine.png --second fine.png", option, "both ends are files")
        for option in ("--dataset mnist", "--split test", "--set data.root=x")
    ),
    ("sample ./tiny -o a.npz", "--columns 3", "a.npz is no grid"),
    ("sample ./tiny -o images", "--columns 3", "images is no grid"),
    ("denoise ./tiny -o images", "--draws 3", "a folder has the means alone"),
    ("reconstruct ./tiny", "--temperature 1", "no latent is drawn from the prior"),
    ("complete ./tiny --measurement blur:1", "--temperature 1", "no latent is drawn from the"),
    ("decode ./tiny z.npz", "--temperature 1", "no latent is drawn from the prior"),
    ("encode ./tiny", "--statistics no.npz", "--keep is not"),
    ("encode ./tiny --keep 0.5", "--tile 8", "--keep takes images of the model's size alone"),
    ("encode ./tiny --keep 0.5", "--overlap 2", "--keep takes images of the model's size alone"),
]  # fmt: skip


@pytest.mark.parametrize(("command", "option", "why"), IGNORED)
def test_an_option_that_would_be_ignored_is_refused(command, option, why, place, capsys):
    if command.startswith("decode"):
        model = hvae.load("./tiny")
        model.encode(model.sample(1)).save("z.npz")
    else:
        shutil.rmtree(place / "tiny")  # it is told before a model is loaded
    with pytest.raises(SystemExit) as left:
        main([*command.split(), *option.split()])
    captured = capsys.readouterr()
    assert left.value.code == 2
    assert f"Error: {option.split()[0]} is given, but " in captured.err
    assert why in captured.err


@pytest.mark.parametrize(
    "command",
    [
        "reconstruct ./tiny --count 1 --latents 1 --temperature 0.5",
        "complete ./tiny --count 1 --measurement blur:1 --layers 1 --temperature 0.5",
        "interpolate ./tiny --first fine.png --split train --dataset digits",
        "denoise ./tiny --count 1 --split train --dataset digits",
        "encode ./tiny --count 1 --split train --keep 0.5",
        "decode ./tiny z.npz --layers 1 --temperature 0.5",
        "sample ./tiny -n 2 --columns 2",
    ],
)
def test_an_option_that_is_of_use_is_taken(command, place, capsys):
    model = hvae.load("./tiny")
    model.encode(model.sample(1)).save("z.npz")
    with pytest.raises(SystemExit) as left:
        main(command.split())
    told = capsys.readouterr().err
    assert left.value.code == 0 or "tells no noise" in told, told


@pytest.mark.parametrize("name", CASES)
def test_bad_input(name, place, capsys):
    prepare, arguments, sentence = CASES[name]
    prepare(place)
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit) as left:
        main(arguments.split())
    captured = capsys.readouterr()
    assert left.value.code == 2, captured.err
    assert sentence in captured.err
    *before_it, line = captured.err.splitlines()
    assert line.startswith("Error: ")
    # What a run was doing may stand before it.
    assert all(other.startswith(("Starting ", "Reading ")) for other in before_it)
    assert "Traceback" not in captured.err
    assert captured.out == ""
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert after == before, "something was lost or left behind"


@pytest.mark.parametrize(
    ("arguments", "way"),
    [
        ("reconstruct ./tiny", "Or take images of yours with --images FILE, or name the folder"),
        ("interpolate ./tiny", "Or take images of yours with --first FILE and --second FILE, or"),
        ("evaluate ./tiny", "Or name the folder"),
        ("train good.yaml", "Or name the folder"),
        ("train good.yaml --dry-run", "Or name the folder"),
    ],
)
def test_data_that_cannot_be_downloaded(place, capsys, monkeypatch, arguments, way):
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    monkeypatch.setenv("HVAE_HOME", str(place / "home"))
    for path in (place / "tiny" / "preset.yaml", place / "good.yaml"):
        values = yaml.safe_load(path.read_text())
        values["data"] = {"name": "cifar10"}
        values["model"]["resolutions"], values["model"]["image_channels"] = [32, 1], 3
        path.write_text(yaml.safe_dump(values))
    hvae.build(place / "tiny" / "preset.yaml").save(place / "other")
    with pytest.raises(SystemExit) as left:
        main(arguments.replace("./tiny", "./other").split())
    error = capsys.readouterr().err.splitlines()[-1]
    assert left.value.code == 1
    assert "HVAE_OFFLINE=1 forbids the network. Unset HVAE_OFFLINE, or put the file at" in error
    assert way in error
    assert error.endswith("that has the data set's files with --set data.root=DIR")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_that_cannot_be_written(place, capsys):
    read_only_output(place)
    with pytest.raises(SystemExit) as left:
        main(["sample", "./tiny", "-o", "folder/a.png"])
    assert left.value.code == 2
    assert "cannot be written" in capsys.readouterr().err


def test_a_plugin_that_raises_on_import(place, capsys, monkeypatch):
    info = place / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Name: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hvae]\nflow.radial = acme_radial\n")
    (place / "acme_radial.py").write_text("raise RuntimeError('no such device')\n")
    monkeypatch.syspath_prepend(str(place))
    manager.cache_clear()
    try:
        with pytest.raises(SystemExit) as left:
            main(["train", "good.yaml", "--set", "model.flow=radial"])
    finally:
        manager.cache_clear()
    assert left.value.code == 2
    message = capsys.readouterr().err
    assert "acme 1.0" in message
    assert "no such device" in message


def test_no_backend_installed(place, capsys, monkeypatch):
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setattr("hvae_core.backends.selection.installed_backends", list)
    monkeypatch.setattr("hvae_core.backends.selection.active_backend", lambda: None)
    with pytest.raises(SystemExit) as left:
        main(["sample", "./tiny"])
    assert left.value.code == 2
    assert "No backend is installed. Install one with" in capsys.readouterr().err


def test_a_full_disk_in_mid_checkpoint_keeps_the_last_one(place, capsys, monkeypatch):
    """The third checkpoint fails; the run says which is kept, and goes on from it."""
    from hvae_core.runs import checkpoints

    write, calls = checkpoints.write_tensors, []

    def fails(arrays, path, metadata):
        calls.append(path)
        if len(calls) > 6:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(arrays, path, metadata)

    monkeypatch.setattr(checkpoints, "write_tensors", fails)
    options = ["--set", "train.steps=6", "--set", "train.checkpoint_steps=2", "-o", "run"]
    with pytest.raises(SystemExit) as left:
        main(["train", "good.yaml", *options])
    assert left.value.code == 1
    assert "No space left on device" in capsys.readouterr().err
    kept = sorted(path.name for path in (place / "run" / "checkpoints").iterdir())
    assert kept == ["step-00000002", "step-00000004"]
    monkeypatch.undo()
    monkeypatch.chdir(place)
    with pytest.raises(SystemExit) as left:
        main(["train", "good.yaml", *options, "--resume"])
    assert left.value.code == 0
    assert len(np.atleast_1d(hvae.load(place / "run").sample(1))) == 1
