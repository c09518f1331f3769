"""What trackers keep of a run, read back with each package's own reader; none reaches a network."""

import json
import re
import struct
import time
from importlib.util import find_spec

import numpy as np
import pytest

from hvae_core.config import create_component, parse_config
from hvae_core.errors import MissingDependencyError
from hvae_core.training.loop import default_callbacks

IMAGE = np.arange(8 * 9 * 3, dtype=np.uint8).reshape(8, 9, 3)


def track(folder, tracker):
    """A run that is stopped after update 4 and goes on from update 2."""
    for first in (0, 2):
        built = create_component("tracker", tracker).build()
        built.start({"train": {"steps": 9, "optimizer": "sgd"}}, "mine", folder, first)
        for step in (first + 1, first + 2):
            built.scalars(step, {"train/loss": 1.0 / step, "train/kl_per_layer/00": 2.0})
        built.image(first + 2, "samples", IMAGE)
        built.image(first + 2, "grey", IMAGE[:, :, :1])
        built.finish()


@pytest.mark.parametrize(
    ("tracker", "module", "package"),
    [
        ("tensorboard", "tensorboardX", r"tensorboardX.*hvae\[tensorboard\]"),
        ("wandb", "wandb", r"wandb.*hvae\[trackers\]"),
        ("mlflow", "mlflow", r"mlflow-skinny.*hvae\[trackers\]"),
    ],
)
def test_a_missing_package_is_told_before_training(monkeypatch, tracker, module, package):
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *rest: None if name == module else find_spec(name)
    )
    named = parse_config({"train": {"trackers": [tracker], "tensorboard": False}})
    with pytest.raises(MissingDependencyError, match=package) as caught:
        list(default_callbacks(named))
    assert caught.value.exit_code == 2
    # By default TensorBoard is only wanted where it is.
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *rest: None)
    names = [type(callback).__name__ for callback in default_callbacks(parse_config({}))]
    assert names == ["ProgressDisplay", "SampleGrids"]


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboardX")
    track(tmp_path, "tensorboard")
    from tensorboardX.proto.event_pb2 import Event

    paths = sorted((tmp_path / "tensorboard").iterdir(), key=lambda p: int(p.name.split(".")[-1]))
    assert len(paths) == 2
    for path, first in zip(paths, (0, 2), strict=True):
        raw, events = path.read_bytes(), []
        while raw:  # length, its checksum, the event, its checksum
            length = int.from_bytes(raw[:8], "little")
            events.append(Event.FromString(raw[12 : 12 + length]))
            raw = raw[16 + length :]
        assert events[0].file_version == "brain.Event:2"
        # From this step on TensorBoard drops what the session before wrote.
        assert events[1].session_log.status == events[1].session_log.START
        assert events[1].step == first + 1
        values = {(e.step, v.tag): v for e in events for v in e.summary.value}
        assert values[first + 1, "train/loss"].simple_value == pytest.approx(1.0 / (first + 1))
        assert values[first + 2, "samples"].image.width == 9
        assert values[first + 2, "grey"].image.height == 8
        text = values[first, "config/text_summary"].tensor.string_val[0].decode()
        assert json.loads(text)["train"] == {"steps": 9, "optimizer": "sgd"}


def test_a_full_disk_is_an_error_at_once(tmp_path):
    pytest.importorskip("tensorboardX")
    built = create_component("tracker", "tensorboard").build()
    built.start({}, "mine", tmp_path, 0)

    class Full:
        def write(self, data):
            raise OSError(28, "No space left on device")

        flush = close = lambda self: None

    built._writer._py_recordio_writer = Full()
    with pytest.raises(OSError, match="No space left"):
        built.scalars(1, {"train/loss": 1.0})


@pytest.mark.slow
def test_wandb_offline(tmp_path):
    pytest.importorskip("wandb")
    track(tmp_path, {"name": "wandb", "mode": "offline", "project": "mine", "tags": ["a"]})
    runs = sorted((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    identity = (tmp_path / "wandb" / "hvae-run.txt").read_text().strip()
    for path, first in zip(runs, (0, 2), strict=True):
        # One run, of two sessions; wandb counts those of one second.
        assert re.fullmatch(rf"offline-run-\d+_\d+-{identity}(-\d+)?", path.name)
        # A process of its own writes them; on a busy machine it may end a little after the run.
        for _ in range(60):
            rows, config = read_wandb(path / f"run-{identity}.wandb")
            losses = {row["step"]: row["train/loss"] for row in rows if "train/loss" in row}
            if len(losses) == 2:
                break
            time.sleep(0.5)
        assert losses == {first + 1: 1.0 / (first + 1), first + 2: 1.0 / (first + 2)}
        pictures = [row for row in rows if {"samples", "grey"} & {k.split(".")[0] for k in row}]
        assert {row["step"] for row in pictures} == {first + 2}
        assert config["train"] == {"steps": 9, "optimizer": "sgd"}
        assert len(list((path / "files" / "media" / "images").iterdir())) == 2


def read_wandb(path):
    """The rows and the configuration in the file of an offline run, a log of LevelDB's format."""
    from wandb.proto import wandb_internal_pb2

    raw, place, record, rows, config = path.read_bytes(), 7, b"", [], {}
    while len(raw) - place >= 7:
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        _, length, kind = struct.unpack_from("<IHB", raw, place)
        record += raw[place + 7 : place + 7 + length]
        place += 7 + length
        if kind not in (1, 4):  # whole, or the last part
            continue
        message = wandb_internal_pb2.Record.FromString(record)
        record = b""
        if message.HasField("history"):
            items = message.history.item
            rows.append({".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items})
        for update in message.run.config.update:
            config[update.key] = json.loads(update.value_json)
    return rows, config


def test_wandb_is_offline_where_the_network_is_forbidden(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    given = {}

    def init(**options):
        given.update(options)
        raise RuntimeError("enough")

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    with pytest.raises(RuntimeError, match="enough"):
        create_component("tracker", {"name": "wandb", "entity": "us", "group": "g"}).build().start(
            {}, "mine", tmp_path, 0
        )
    assert (given["mode"], given["entity"], given["group"]) == ("offline", "us", "g")
    assert given["name"] == "mine"


@pytest.mark.slow
def test_mlflow_in_a_database_of_the_run_folder(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    track(tmp_path, {"name": "mlflow", "experiment": "trials", "tags": {"by": "me"}})
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("trials").experiment_id])
    assert (run.info.run_name, run.info.status) == ("mine", "FINISHED")
    assert run.data.params == {"train.steps": "9", "train.optimizer": "sgd"}
    assert run.data.tags["by"] == "me"
    history = client.get_metric_history(run.info.run_id, "train/loss")
    assert sorted((m.step, m.value) for m in history) == [
        (1, 1.0), (2, 0.5), (3, 1 / 3), (4, 0.25),
    ]  # fmt: skip
    assert client.get_metric_history(run.info.run_id, "train/kl_per_layer/00")
    pictures = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
    assert any("samples" in path for path in pictures)
    assert (tmp_path / "mlflow-run.txt").read_text().strip() == run.info.run_id


@pytest.mark.slow
def test_mlflow_gets_the_configuration_with_each_run_of_its_own(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    servers = [f"sqlite:///{tmp_path / name}" for name in ("a.db", "b.db")]

    def start(server, steps, first):
        options = {"name": "mlflow", "tracking_uri": server}
        built = create_component("tracker", options).build()
        built.start({"train": {"steps": steps}}, "mine", tmp_path, first)
        built.finish()

    def runs(server):
        client = mlflow.MlflowClient(server)
        found = client.search_runs([client.get_experiment_by_name("hvae").experiment_id])
        return [run.data.params for run in found]

    start(servers[0], 9, 7)  # a tracker that a run has from its second session on
    start(servers[0], 20, 7)
    start(servers[0], 30, 0)  # killed before its first checkpoint, and resumed with another length
    assert runs(servers[0]) == [{"train.steps": "9"}]
    start(servers[1], 40, 8)
    assert runs(servers[1]) == [{"train.steps": "40"}]
    assert len(runs(servers[0])) == 1


def test_mlflow_goes_where_it_is_told(monkeypatch):
    pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert create_component("tracker", "mlflow").build()._uri == "http://127.0.0.1:9"
    chosen = {"name": "mlflow", "tracking_uri": "http://127.0.0.1:8"}
    assert create_component("tracker", chosen).build()._uri == "http://127.0.0.1:8"
