"""Values that nobody expects, in every place of every file that comes from outside.

Each file is one that hvae itself could have written, in which one value after the other becomes one
of `HOSTILE`, or its key is lost. It is taken or refused in one sentence; there is no traceback.
"""

import copy
import datetime
import json
import math
import shutil
import tracemalloc

import numpy as np
import pytest
import yaml

from hvae_core.cli.main import main
from hvae_core.data.decode import Unreadable
from hvae_core.data.decoded import decoded_images
from hvae_core.errors import HvaeError, PresetError
from hvae_core.evaluation.kept_bounds import KeptBounds
from hvae_core.exported.exported_model import load_exported
from hvae_core.fetching.transfer import Patience, Promise, Transfer
from hvae_core.files.digests import damaged_file
from hvae_core.importing import find_importer
from hvae_core.plugins import PluginManager
from hvae_core.report.collect import collect, held_out
from hvae_core.report.curves import series
from hvae_core.runs.best_checkpoint import find_weights, how_far
from hvae_core.runs.checkpoints import read_state
from hvae_core.runs.data_record import DataRecord, record_of
from hvae_core.runs.run_folder import RunFolder
from hvae_core.runs.state import TrainState
from hvae_core.weights import write_tensors
from hvae_core.zoo import folders, pull, write_preset
from hvae_core.zoo.origin import read_origin
from hvae_core.zoo.publishing import figures_of, layers_of
from hvae_core.zoo.record import check_record

#: 391 digits, which a file may have and no float can hold
HUGE = 10**390
HOSTILE = [
    *(HUGE, -HUGE, math.inf, -math.inf, math.nan, 1e300, 2.5, 0, -1, None, True, "5", ""),
    *([], [1], [HUGE], [math.nan], [None], {}, {"name": [1]}, {"value": HUGE}, "\x1b[2J\u202e"),
]
#: in place of a value: the key is not there
LOST = object()
#: some of them, as to read YAML takes its time, and what YAML has besides
OF_PRESETS = [
    *(HUGE, math.inf, math.nan, -1, None, True, "5", [], [HUGE], {}, {"name": [1]}, HOSTILE[-1]),
    *({5: 1}, {"a": [{True: 2}]}, datetime.date(2020, 1, 1)),
]


def places(content, path=()):
    """Where a value stands: the keys and indices that lead to it."""
    inner = content.items() if isinstance(content, dict) else enumerate(content)
    for key, value in inner:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def changed(content, path, value):
    result = copy.deepcopy(content)
    target = result
    for key in path[:-1]:
        target = target[key]
    if value is LOST:
        del target[path[-1]]
    else:
        target[path[-1]] = copy.deepcopy(value)
    return result


def taken_or_refused(action, *arguments):
    """Whether it is taken; any exception but a refusal in one sentence is a failure."""
    try:
        action(*arguments)
        return True
    except HvaeError as error:
        refusal = error.message
    assert refusal.isprintable()
    assert len(refusal) < 5000
    return False


def of_all(content):
    """Parametrises a test by the place, which then goes through the values."""
    every = list(places(content))
    return pytest.mark.parametrize("place", every, ids=[".".join(map(str, p)) for p in every])


# presets

PRESET = {
    "name": "sound",
    "format": 3,
    "summary": "a small one",
    "licence": "MIT",
    "parameters": 6,
    "pictures": {"samples.png": "Four."},
    "trained": {
        "how": "slowly",
        "images_seen": 20,
        "splits": {"train": {"images": 20, "sha256": "0" * 64}},
    },
    "plugins": {"flow.nobody": "nobody 1.0"},
    "model": {"resolutions": [8, 4, 1], "image_channels": 1, "width": 8},
    "likelihood": {"name": "logistic-mixture", "mixtures": 2},
    "data": {"name": "digits"},
    "train": {"epochs": 1},
    "figures": {
        "bits_per_dim": {"value": 3.25, "unit": "bits/dim", "how": "so", "command": "do"},
        "nats": 3.0,
    },
    "layers": {"kl": [1.0, 2.0, 3.0], "units": [1, 2, 3], "how": "10 images"},
    "weights": {
        "sha256": "0" * 64,
        "size": 10,
        "sources": ["https://localhost/w"],
        "original": {
            "format": "openai-vdvae",
            "options": {"kind": "ema"},
            "checkpoint": "a.th",
            "files": [{"name": "a.th", "sha256": "0" * 64, "size": 5, "sources": ["file:///a"]}],
        },
    },
}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache folder with one sound preset, beside which there is no other."""
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    monkeypatch.setattr(folders, "manager", lambda: PluginManager([]))
    add(tmp_path / "home" / "presets" / "sound", PRESET)
    return tmp_path / "home"


def add(folder, info):
    folder.mkdir(parents=True)
    (folder / "preset.yaml").write_text(yaml.safe_dump(info, allow_unicode=False))


def run(capsys, *words):
    """What a command prints, whose error is a sentence."""
    with pytest.raises(SystemExit) as left:
        main(list(words))
    out, err = capsys.readouterr()
    assert left.value.code in (0, 2)
    assert "\x1b" not in out + err
    return left.value.code, out


@of_all(PRESET)
def test_a_preset(home, capsys, place):
    names = []
    for number, value in enumerate([*OF_PRESETS, LOST]):
        names.append(f"h{number}")
        info = changed({**PRESET, "name": names[-1]}, place, value)
        add(home / "presets" / names[-1], info)
    code, out = run(capsys, "zoo", "list")
    assert code == 0
    assert all(name in out for name in ["sound", *names])
    code, out = run(capsys, "zoo", "list", "--data", "digits", "--task", "train", "--json")
    assert code == 0
    assert "sound" in {row["name"] for row in json.loads(out)}
    code, out = run(capsys, "doctor", "--json")
    assert code == 0
    assert set(json.loads(out)["presets"]) == {"sound", *names}
    for number, name in enumerate(names):
        run(capsys, "zoo", "show", name, *(["--json"] if number % 2 else []))


@pytest.mark.parametrize("value", OF_PRESETS, ids=lambda value: repr(value)[:15])
@pytest.mark.parametrize("key", ["images", "sha256"])
def test_a_pull_refuses_what_a_preset_says_of_its_images(home, tmp_path, key, value):
    if key == "sha256" and isinstance(value, str):
        return
    splits = {"train": {"images": 20, "sha256": "0" * 64, key: value}}
    config = {key: PRESET[key] for key in ("model", "likelihood", "data", "train")}
    folder = tmp_path / "theirs"
    write_preset(folder, config, lambda path: write_tensors({"a": np.ones(3, np.float32)}, path))
    info = yaml.safe_load((folder / "preset.yaml").read_text()) | {"trained": {"splits": splits}}
    (folder / "preset.yaml").write_text(yaml.safe_dump(info))
    with pytest.raises(PresetError):
        pull(folder)
    assert not (home / "presets" / "theirs").exists()


# exports

MANIFEST = {
    "format": "hvae-export",
    "version": 1,
    "runtime": "openvino",
    "image_shape": [4, 4, 1],
    "encoder_shape": [4, 4, 1],
    "latent_shapes": [[1, 1, 2], [4, 4, 2]],
    "image_values": {"dtype": "float32", "low": 0, "high": 1, "unit": ""},
    "likelihood": {"name": "logistic-mixture", "unit": "bits/dim", "noise_channels": 3},
    "condition": {"form": "class", "size": 3, "names": ["a", "b", "c"], "dropout": 0.1},
    "graphs": {
        "generator": {"file": "g.xml", "outputs": ["images"]},
        "guided": {"file": "g.xml", "outputs": ["images"]},
        "posterior": {"file": "g.xml", "outputs": ["latent_0"]},
    },
    "config": {"data": "digits"},
    "files": {"g.xml": {"size": 4, "sha256": "0" * 64}},
}


@of_all(MANIFEST)
def test_an_export(tmp_path, place):
    (tmp_path / "g.xml").write_bytes(b"<g/>")

    def use():
        model = load_exported(tmp_path)
        assert model.image_values.levels >= 0
        assert model.image_values.half_range > 0
        assert model.config.data.name == "digits"
        values = model.condition_values
        if values is not None:
            values.encode(values.examples(2), 2)
        options = {"condition": values.examples(2), "guidance": 2.0} if values else {}
        model.sample(2, **options)

    for value in [*HOSTILE, LOST]:
        (tmp_path / "manifest.json").write_text(json.dumps(changed(MANIFEST, place, value)))
        assert not taken_or_refused(use)  # at the latest where the graph is read, which is none


# what commands of an evaluation are given

EVALUATION = {
    "dataset": "digits", "split": "test", "images": 360, "unit": "bits/dim", "elbo": -80.0,
    "bits_per_dim": 1.80051, "importance_weighted": -75.0, "importance_samples": 100,
    "importance_weighted_bits_per_dim": 1.70966, "kl_per_layer": [0.1, 3.5, 2.0],
    "active_units": [1, 2, 3], "units": [4, 4, 4],
}  # fmt: skip
COMPLETION = {
    "dataset": "Digits", "split": "test", "images": 360, "known": 0.25, "draws": 32,
    "psnr_of_mean": 15.051, "coverage_50": 0.4821, "coverage_90": 0.8874,
    "baselines": {"mean_filled": {"psnr_of_mean": 12.3456}},
}  # fmt: skip


@pytest.mark.parametrize("whole", [EVALUATION, COMPLETION], ids=["evaluation", "completion"])
def test_the_figures_of_a_push(home, tmp_path, capsys, whole):
    config = {key: PRESET[key] for key in ("model", "likelihood", "data", "train")}
    picture = tmp_path / "samples.png"
    picture.write_bytes(b"")
    source = home / "presets" / "measured"
    weights = {"a": np.ones(3, np.float32)}
    write_preset(source, config, lambda p: write_tensors(weights, p), pictures=[picture])
    file, target = tmp_path / "figures.json", tmp_path / "pushed"

    def push(figures):
        file.write_text(json.dumps(figures))
        code, _ = run(capsys, "zoo", "push", "measured", str(target), "--figures", str(file))
        assert (code == 0) == target.exists()
        shutil.rmtree(target, ignore_errors=True)
        return code

    def take(figures):
        check_record({"figures": figures_of(figures), "layers": layers_of(figures)}, file)

    assert push(whole) == 0
    for place in places(whole):
        for value in [*HOSTILE, LOST]:
            taken_or_refused(take, changed(whole, place, value))
        if place not in {("elbo",), ("importance_weighted",)}:  # in the place of which is bits/dim
            assert push(changed(whole, place, HUGE)) == 2


ABOUT = {"dataset": "digits", "split": "test", "images": 3, "seed": 0, "importance_samples": 2}
BOUNDS = {"about": ABOUT, "elbo": [-1.0, -2.0, -3.0], "importance_weighted": [-1.0, -2.0]}


@of_all(BOUNDS)
def test_the_bounds_of_an_evaluation(tmp_path, place):
    def use():
        kept = KeptBounds(path, ABOUT)
        kept.begin(np.array([-1.0, -2.0, -3.0]))
        kept.add(np.array([-3.0]))

    path = tmp_path / "bounds.json"
    for value in [*HOSTILE, LOST]:
        content = json.dumps(changed(BOUNDS, place, value))
        path.write_text(content)
        if not taken_or_refused(use):
            assert path.read_text() == content


# runs and what is kept in the cache folder

STATE = {**TrainState(step=2, images=64, elapsed=9.0, best_step=1, best_elbo=-3.0).to_dict()}
STATE["validation"] = {"elbo": -3.0, "bits_per_dim": 2.0}
STATE["epoch"] = {"steps": 2, "skipped": 0, "nonfinite": 0, "averaged": 2, "sums": {"kl": [1.0]}}
EPOCH = {
    "event": "epoch", "step": 2, "epoch": 1, "loss": 3.0, "bits_per_dim": 2.0,
    "kl_per_layer": [1.0, 0.5], "skipped": 0, "learning_rate": 0.1,
    "validation": {"elbo": -3.0, "bits_per_dim": 2.0, "elbo_standard_error": 0.1},
}  # fmt: skip
RUN = {
    "data.json": {"splits": {"train": {"images": 20, "sha256": "0" * 64}}},
    "validation.json": {
        "split": "train",
        "sha256": "0" * 64,
        "indices": [1, 5],
        "digests": ["0" * 16, "f" * 16],
    },
    "metrics.jsonl": EPOCH,
    "checkpoints/step-00000002/state.json": STATE,
}


@pytest.fixture
def a_run(tmp_path):
    """A run folder with a checkpoint."""
    path = tmp_path / "run"
    (path / "checkpoints" / "step-00000002").mkdir(parents=True)
    (path / "config.yaml").write_text("data: digits\ntrain: {epochs: 2}\n")
    for name in ("model", "ema", "optimizer"):
        file = path / "checkpoints" / "step-00000002" / f"{name}.safetensors"
        write_tensors({"w": np.ones(3, np.float32)}, file)
    for name, content in RUN.items():
        (path / name).write_text(json.dumps(content) + "\n")
    return path


@pytest.mark.parametrize("name", RUN)
def test_a_run(a_run, name):
    def report():
        facts = collect(a_run)
        assert facts.status in ("finished", "not finished")
        assert isinstance(facts.step, int)
        held_out(facts)
        for key in ("loss", "kl_per_layer", "learning_rate"):
            steps, values = series(facts.trained, key)
            np.asarray(steps, np.int64), np.asarray(values, np.float64)

    readers = [
        report,
        lambda: record_of(a_run),
        lambda: DataRecord.read(a_run),
        lambda: RunFolder(a_run).validation_record(),
        lambda: find_weights(a_run),
        lambda: how_far(a_run),
        lambda: TrainState.from_dict(json.loads((a_run / checkpoint).read_text())),
    ]
    checkpoint = "checkpoints/step-00000002/state.json"
    assert all(map(taken_or_refused, readers))
    for place in places(RUN[name]):
        for value in [*HOSTILE, LOST]:
            content = json.dumps(changed(RUN[name], place, value))
            (a_run / name).write_text(content + "\n")
            for reader in readers:
                taken_or_refused(reader)


@of_all(KEPT := {"images": [[1, "b.png"]]})
def test_the_list_of_unreadable_images(tmp_path, monkeypatch, place):
    monkeypatch.setenv("HVAE_HOME", str(tmp_path))

    def chunks():
        left_out.found = [(1, "b.png")]
        yield np.zeros((2, 1, 1, 1), np.uint8)

    left_out = Unreadable()
    decoded_images([], None, (1, 1, 1), chunks, unreadable=left_out)
    (file,) = (tmp_path / "data" / "decoded").glob("*.json")
    for value in [*HOSTILE, LOST]:
        file.write_text(json.dumps(changed(KEPT, place, value)))
        left_out = Unreadable()
        assert decoded_images([], None, (1, 1, 1), chunks, unreadable=left_out).shape[0] == 2
        assert all(type(number) is int for number in left_out.numbers)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:15])
def test_where_a_preset_came_from(tmp_path, value):
    (tmp_path / "origin.json").write_text(json.dumps({"source": value}))
    assert isinstance(read_origin(tmp_path), str)
    (tmp_path / "origin.json").write_text(json.dumps(value))
    assert isinstance(read_origin(tmp_path), str)


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:15])
@pytest.mark.parametrize("key", ["url", "version"])
def test_the_note_of_a_transfer(tmp_path, key, value):
    transfer = Transfer("https://x/y", tmp_path / "y", Promise(), None, Patience())
    note = {"url": "https://x/y", "version": "1", key: value}
    transfer.note.write_text(json.dumps(note))
    transfer.part.write_bytes(b"abc")
    assert transfer._done() in (0, 3)


# files without an end

MOST_MEMORY = 48 << 20


def of_an_evaluation(path):
    KeptBounds(path, ABOUT)


def of_a_transfer(path):
    transfer = Transfer("https://x/y", path.parent / "y", Promise(), None, Patience())
    assert transfer._noted_version() is None


def of_an_origin(path):
    assert read_origin(path.parent) == "an unknown place"


def of_figures(path):
    with pytest.raises(SystemExit) as left:
        main(["zoo", "push", "sound", "x", "--figures", str(path)])
    assert left.value.code == 2


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("manifest.json", lambda path: load_exported(path.parent)),
        ("data.json", lambda path: DataRecord.read(path.parent)),
        ("bounds.json", of_an_evaluation),
        ("figures.json", of_figures),
        ("y.part.json", of_a_transfer),
        ("origin.json", of_an_origin),
        ("SHA256SUMS", lambda path: damaged_file(path.parent, [])),
        ("openai.json", lambda path: find_importer("openai-vdvae").read(path, str(path), {})),
        ("state.json", lambda path: read_state(path.parent)),
    ],
)
def test_no_more_is_read_of_a_file_than_it_can_hold(home, tmp_path, name, read):
    path = tmp_path / name
    path.write_bytes(b"")
    taken_or_refused(read, path)  # whatever it imports is not counted
    with path.open("wb") as file:
        file.truncate(256 << 20)
    tracemalloc.start()
    try:
        taken_or_refused(read, path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
