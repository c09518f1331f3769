"""Whatever stands in a file or after ``--set``: it is taken, or refused in one sentence.

Brief and always the same by default; longer, with examples of its own each time:
``pytest tests/faults/test_fuzz.py --hypothesis-profile long``
"""

import contextlib
import copy
import datetime
import io
import json
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hvae_core.cli.main import main
from hvae_core.config import dump_yaml, flatten, load_config, parse_config
from hvae_core.config.loading import apply_overrides, read_yaml
from hvae_core.errors import ConfigError, HvaeError
from hvae_core.files.digests import write_digests
from hvae_core.files.yaml_files import MAX_DEPTH, parse_yaml
from hvae_core.report.collect import collect, held_out
from hvae_core.report.curves import series
from hvae_core.runs.best_checkpoint import find_weights, how_far
from hvae_core.runs.checkpoints import Checkpoint
from hvae_core.runs.metrics import MetricsFile
from hvae_core.runs.run_folder import RunFolder
from hvae_core.runs.state import TrainState
from hvae_core.weights import read_header, read_tensors, write_tensors
from hvae_core.zoo import read_preset


def taken_or_refused(action, *arguments):
    """What it gives; None where it refuses in one sentence. Any other exception is a failure."""
    try:
        return action(*arguments)
    except HvaeError as error:
        refusal = error.message
    assert refusal
    assert refusal.isprintable()
    assert len(refusal) < 5000
    return None


# YAML

#: what YAML reads as something, and what it stumbled over before
ODD_SCALARS = [
    *("2020-99-99", "2020-01-01", "!!int abc", "!!bool abc", "!!float x", "!!timestamp x", "1e999"),
    *(".nan", "-.inf", "0x_", "0b", "0o9", "190:20:30", "~", "*a", "&a", "<<", "!!binary x", "'"),
    *("!!python/object:os.system x", "!!set {a}", "!!omap [a]", "!!pairs [a: 1]", "%YAML 9", "---"),
    *("\ud800", "\x00", "\ufeff", "\u2028", "9" * 5000, "9" * 400, "[" * 5000, "{" * 5000),
    *("- " * 500, "? "),
]  # fmt: skip
YAML_TEXT = st.lists(
    st.one_of(
        st.sampled_from(ODD_SCALARS),
        st.sampled_from(
            ["a", ": ", ":", "\n", "\n  ", "- ", "[", "]", "{", "}", ", ", "#", "|", ">"]
        ),
        st.text(max_size=5),
    ),
    max_size=12,
).map("".join)


@given(YAML_TEXT)
def test_yaml(text):
    taken_or_refused(parse_yaml, text, "It", ConfigError)


@given(
    st.one_of(YAML_TEXT.map(lambda t: t.encode("utf-8", "surrogatepass")), st.binary(max_size=60))
)
def test_a_configuration_file(tmp_path, content):
    path = tmp_path / "config.yaml"
    path.write_bytes(content)
    taken_or_refused(load_config, path)


@pytest.mark.parametrize("scalar", [*ODD_SCALARS, "[" * (MAX_DEPTH + 1)])
def test_odd_yaml_in_every_place(tmp_path, scalar):
    path = tmp_path / "preset.yaml"
    path.write_bytes(f"model: {{width: {scalar}}}".encode("utf-8", "surrogatepass"))
    taken_or_refused(load_config, path)
    taken_or_refused(read_yaml, path)
    taken_or_refused(read_preset, tmp_path)
    taken_or_refused(apply_overrides, {}, [f"train.steps={scalar}"])
    for value in (scalar, f"{{name: sylvester, flows: [{scalar}]}}", f"{{name: {scalar}}}"):
        taken_or_refused(parse_config, BASE, [f"model.flow={value}"])


# configurations

BASE = parse_config({"data": "digits", "train": {"epochs": 2}}).to_dict()
KEYS = sorted(flatten(BASE))
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-3, 70), st.text(max_size=4),
        st.floats(allow_nan=True), st.dates(),
        st.sampled_from([10**20, 10**400, -(10**20), 2**63, 0, -1, 1e308, "relu", "bottleneck"]),
        st.just(datetime.datetime(2020, 1, 1)), st.binary(max_size=3),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)  # fmt: skip


def changed(base, changes):
    """A copy with keys set anew, by their dotted names."""
    result = copy.deepcopy(base)
    for key, value in changes.items():
        *path, last = key.split(".")
        target = result
        for part in path:
            inner = target.get(part)
            if not isinstance(inner, dict):
                inner = target[part] = {}
            target = inner
        target[last] = value
    return result


@given(st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(min_size=1, max_size=6)), VALUES,
                       min_size=1, max_size=3))  # fmt: skip
def test_a_configuration(changes):
    config = taken_or_refused(parse_config, changed(BASE, changes))
    if config is not None:  # what is taken is written and read back to the same
        again = parse_config(parse_yaml(dump_yaml(config), "It", ConfigError))
        assert again.to_dict() == config.to_dict()


OVERRIDES = st.one_of(
    st.tuples(st.sampled_from(KEYS), YAML_TEXT).map("=".join),
    st.tuples(st.sampled_from(KEYS), st.sampled_from([".name=", ".x=", "..=", "=", "", "."])).map(
        "".join
    ),
    st.text(max_size=12),
)


@given(st.lists(OVERRIDES, min_size=1, max_size=3))
def test_overrides(overrides):
    taken_or_refused(parse_config, BASE, overrides)


# safetensors


def header_of(values):
    text = values if isinstance(values, bytes) else json.dumps(values).encode()
    return len(text).to_bytes(8, "little") + text


SIZES = st.sampled_from([0, 1, 2, 4, 8, 2**31, 2**62, 2**64, -1, 10**30, 1.5, "1", None, True])
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "BF16", "F8_E4M3", "I64", "BOOL", "", "f32", 3, None, []]),
        "shape": st.one_of(st.lists(SIZES, max_size=4), st.just([1] * 100), SIZES),
        "data_offsets": st.one_of(st.lists(SIZES, max_size=3), SIZES),
        "x": st.none(),
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["a", "b.c", "__metadata__", "", "\n", "é" * 50]),
    st.one_of(ENTRIES, st.dictionaries(st.text(max_size=3), st.one_of(st.text(max_size=3), SIZES))),
    max_size=3,
)


@given(
    st.one_of(
        HEADERS.map(header_of), st.binary(max_size=40).map(header_of), st.binary(max_size=40)
    ),
    st.integers(0, 40),
)
def test_a_safetensors_header(tmp_path, header, size):
    path = tmp_path / "a.safetensors"
    path.write_bytes(header + bytes(size))
    for read in (read_header, read_tensors):
        taken_or_refused(read, path)


EDITS = st.lists(
    st.tuples(st.floats(0, 0.999), st.sampled_from(["flip", "cut", "insert"]), st.integers(0, 255)),
    min_size=1,
    max_size=3,
)


def edited(content, edits):
    """A copy of the bytes with some flipped, inserted, or the rest cut off."""
    for place, how, value in edits:
        at = int(place * len(content))
        if how == "cut":
            content = content[:at]
        elif how == "insert":
            content = content[:at] + bytes([value]) * 3 + content[at:]
        elif content:
            content = content[:at] + bytes([content[at] ^ (1 << value % 8)]) + content[at + 1 :]
    return content


@given(EDITS)
def test_a_damaged_safetensors_file(tmp_path, edits):
    path = write_tensors(
        {"a": np.ones((2, 3), np.float32), "b": np.ones(2)}, tmp_path / "a", {"x": "y"}
    )
    path.write_bytes(edited(path.read_bytes(), edits))
    for read in (read_header, read_tensors):
        taken_or_refused(read, path)


# run folders


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A run folder with two checkpoints, as a run leaves it."""
    folder = RunFolder(tmp_path_factory.mktemp("fuzz") / "run")
    folder.create(parse_config(BASE), np.array([1, 5]))
    metrics = MetricsFile(folder.metrics_path)
    for step in (1, 2):
        figures = {"loss": 3.0 / step, "rate": 1.0, "distortion": 2.0, "kl_per_layer": [1.0, 0.5]}
        state = TrainState(step=step, images=32 * step, elapsed=9.0, best_step=1, best_elbo=-3.0)
        state.add({**figures, "skipped": 0, "nonfinite": 0})
        weights = {"w": np.full(3, step, np.float32)}
        training = {"ema.w": np.ones(3, np.float32), "optimizer.0": np.array(step)}
        folder.checkpoints().save(step, Checkpoint(weights, training, state.to_dict()))
        metrics.append({"event": "step", "step": step, "epoch": 1, **figures})
        validation = {"elbo": -3.0, "bits_per_dim": 2.0, "nats": 3.0, "elbo_standard_error": 0.1}
        metrics.append(
            {"event": "epoch", "step": step, "epoch": step, **figures, "validation": validation}
        )
    MetricsFile(folder.sessions_path).append({"event": "session", "step": 0, "backend": "torch 1"})
    return folder.path


FILES = ["config.yaml", "metrics.jsonl", "sessions.jsonl", "validation.json"] + [
    f"checkpoints/step-0000000{step}/{name}"
    for step in (1, 2)
    for name in ("state.json", "SHA256SUMS", "model.safetensors", "ema.safetensors",
                 "optimizer.safetensors")
]  # fmt: skip
JSON_KEYS = [
    *("step", "event", "epoch", "window", "sums", "loss", "indices", "images", "elapsed"),
    *("best_step", "validation", "bits_per_dim", "averaged"),
]
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.floats(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(JSON_KEYS),
            inner, max_size=4,
        ),
    ),
    max_leaves=8,
)  # fmt: skip
DAMAGE = st.one_of(
    EDITS.map(lambda edits: lambda content: edited(content, edits)),
    JSON.map(lambda value: lambda content: json.dumps(value).encode()),
    # one value of an object of JSON, at the top or in the first record, becomes something else
    st.tuples(st.integers(0, 20), JSON).map(
        lambda pair: lambda content: another_value(content, *pair)
    ),
    st.sampled_from([lambda content: b"", lambda content: b"[" * 9999, lambda content: None]),
)


def another_value(content, index, value):
    try:
        first, _, rest = content.partition(b"\n{")
        values = json.loads(first)
        values[sorted(values)[index % len(values)]] = value
        return json.dumps(values).encode() + (b"\n{" + rest if rest else b"")
    except (ValueError, TypeError, AttributeError, ZeroDivisionError, RecursionError):
        return content


def read_all(path):
    """All that reads a run folder, each taken or refused."""
    folder = RunFolder(path)
    for action in (folder.check_new, folder.validation_record, folder.read_config):
        taken_or_refused(action)
    taken_or_refused(folder.check_resumed, parse_config(BASE))
    newest = taken_or_refused(folder.checkpoints().load_newest)
    if newest is not None:
        TrainState.from_dict(newest[1].state)
        folder.checkpoints().set_aside_newer(newest[0])
    for action in (find_weights, how_far):
        taken_or_refused(action, path)
    facts = taken_or_refused(collect, path)
    if facts is not None:
        assert facts.status in ("finished", "stopped early", "not finished")
        held_out(facts)
        for key in ("loss", "rate", "kl_per_layer"):
            series(facts.trained, key)
    taken_or_refused(MetricsFile(folder.metrics_path).truncate, 1)
    return facts


@given(st.lists(st.tuples(st.sampled_from(FILES), DAMAGE), min_size=1, max_size=2), st.booleans())
def test_a_damaged_run_folder(sound, tmp_path, damages, checksums_follow):
    path = tmp_path / "run"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(sound, path)
    for name, damage in damages:
        content = damage((path / name).read_bytes()) if (path / name).is_file() else None
        if content is not None:
            (path / name).write_bytes(content)
        else:
            (path / name).unlink(missing_ok=True)
    if checksums_follow:  # as of a checkpoint that was written like this
        for folder in (path / "checkpoints").iterdir():
            write_digests(folder)
    read_all(path)


# command lines

ODD_WORDS = [
    *("", "-", "--", "---", "-n", "-o", "--set", "--json", "--resume", "--help", "=", "a="),
    *("0", "-1", "~", "x.yaml"),
    *("1e9", "NaN", "99999999999999999999", "\udcff", "\u202e", "é", "a" * 5000, ".", "..", "/"),
    *("/dev/null", "hf://", "hf://a/b@c", "https://", "file:///x", "*", "%s", "{0}", "$(x)"),
    *("x.safetensors", "digits", "flow.sylvester", "train.steps=[", "train.steps=!!int x"),
]  # fmt: skip
COMMAND_LINES = [
    "config show digits-vdvae --set train.steps=3",
    "config schema",
    "zoo show digits-vdvae --json",
    "zoo list",
    "zoo verify nowhere",
    "plugins show flow.sylvester --json",
    "plugins list",
    "data show digits",
    "data list --json",
    "train nowhere.yaml --resume --output run --set train.steps=2",
    "train nowhere --dry-run --weights nowhere.safetensors",
    "sample nowhere -n 4 --temperature 0.9 --seed 1 -o out.png",
    "reconstruct nowhere a.png -o out.png",
    "interpolate nowhere a.png b.png -o out.png",
    "evaluate nowhere --split test --json",
    "export nowhere -o out --format openvino",
    "import openai-vdvae nowhere.pt -o out --config x",
    "report nowhere",
]


@st.composite
def command_lines(draw):
    """A command line of which a few words were lost, doubled, or became others."""
    words = draw(st.sampled_from(COMMAND_LINES)).split()
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words)))
        new = draw(st.one_of(st.sampled_from(ODD_WORDS), st.text(st.characters(min_codepoint=1))))
        instead = draw(st.sampled_from([[], [new], words[at:][:1] * 2]))
        words[at : at + draw(st.integers(0, 1))] = instead
    return words


@given(command_lines())
def test_a_command_line(tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    said, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):  # noqa: SIM117
        with pytest.raises(SystemExit) as ended:
            main(words)
    assert ended.value.code in (0, 1, 2)
    assert said.getvalue() or told.getvalue()
