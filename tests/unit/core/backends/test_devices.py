"""Choosing devices, and the same training on one device, on two, and in two processes."""

import json
import math
import os
import shutil
import socket
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

from hvae_core.backends.devices import local_devices, sharded_normal, use_devices
from hvae_core.backends.processes import all_or_none, any_process, join_processes, process_index
from hvae_core.config import TrainConfig
from hvae_core.errors import BackendError, ConfigError, TrainingError

pytestmark = pytest.mark.every_backend

BACKEND = keras.config.backend()
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="one process has several devices on JAX")
on_torch = pytest.mark.skipif(BACKEND != "torch", reason="of PyTorch's processes")
elsewhere = pytest.mark.skipif(BACKEND == "jax", reason="JAX uses several devices")


def test_a_device_that_is_not_there_is_named():
    with (
        pytest.raises(ConfigError, match=r"device 9, but there are \d+, from 0 on"),
        use_devices(TrainConfig(devices=[9])),
    ):
        pass


def test_a_device_is_named_once():
    with (
        pytest.raises(ConfigError, match="different devices"),
        use_devices(TrainConfig(devices=[0, 0])),
    ):
        pass


def test_one_device_is_chosen_and_left():
    with use_devices(TrainConfig(devices=[0])):
        assert keras.ops.convert_to_numpy(sharded_normal((2, 3), 5)).shape == (2, 3)
    assert keras.distribution.distribution() is None


@elsewhere
def test_several_devices_are_refused_and_jax_is_named(monkeypatch):
    monkeypatch.setattr("hvae_core.backends.devices.local_devices", lambda: ["cpu:0", "cpu:0"])
    with (
        pytest.raises(ConfigError, match=r"trains on one in each process"),
        use_devices(TrainConfig(devices=[0, 1])),
    ):
        pass


@on_jax
@pytest.mark.parametrize(
    ("kinds", "words"),
    [(["b"], "b"), (["b", "b"], "2 x b"), (["b", "a"], "b, a"), (["b", "a", "b"], "2 x b, a")],
)
def test_the_devices_of_the_distribution_are_named(monkeypatch, kinds, words):
    from hvae_core.backends import devices

    machine = [types.SimpleNamespace(device_kind=kind) for kind in ("a", *kinds)]
    mesh = types.SimpleNamespace(devices=np.array(machine[1:]))
    monkeypatch.setattr(devices, "local_devices", lambda: machine)
    monkeypatch.setattr(devices, "_distribution", lambda: types.SimpleNamespace(device_mesh=mesh))
    assert devices.devices_in_use() == words


@on_torch
def test_the_device_in_whose_scope_tensors_are_made_is_named(monkeypatch):
    import torch

    from hvae_core.backends import devices

    assert devices.devices_in_use() == str(local_devices()[0]) or torch.cuda.is_available()
    made = types.SimpleNamespace(device=torch.device("cuda:1"))
    monkeypatch.setattr(devices, "local_devices", lambda: ["gpu:0", "gpu:1"])
    monkeypatch.setattr(keras.ops, "convert_to_tensor", lambda value: made)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device=0: str(device))
    assert devices.devices_in_use() == "cuda:1"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="names of TensorFlow")
def test_the_device_in_whose_scope_tensorflow_computes_is_named(monkeypatch):
    import tensorflow as tf

    from hvae_core.backends import devices

    made = types.SimpleNamespace(device="/job:localhost/replica:0/task:0/device:GPU:1")
    names = {"first": {"device_name": "a"}, "second": {"device_name": "b"}}
    monkeypatch.setattr(keras.ops, "convert_to_tensor", lambda value: made)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: list(names))
    monkeypatch.setattr(tf.config.experimental, "get_device_details", names.get)
    assert devices.devices_in_use() == "b"


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the others join")
def test_processes_do_not_join_on_tensorflow():
    with pytest.raises(BackendError, match="on JAX and on PyTorch, not on tensorflow"):
        join_processes("127.0.0.1:1", 2, 0)


def test_one_process_agrees_with_itself():
    assert process_index() == 0
    assert [any_process(flag) for flag in (True, False)] == [True, False]
    with pytest.raises(TrainingError, match="mine"), all_or_none():
        raise TrainingError("mine")


CONFIG = {
    "model": {
        "resolutions": [8],
        "image_channels": 1,
        "width": 4,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 1,
        "encoder_blocks": 0,
        "decoder_blocks": 1,
        "readout": {"width": 4, "middle_width": 4, "blocks": 0},
        "condition": {"name": "label", "classes": 10, "width": 4, "dropout": 0.5},
        "input_channels": 2,
    },
    "measurement": "columns:0.5,fill=0",
    "likelihood": {"name": "logistic-mixture", "mixtures": 1},
    "data": "digits",
    "train": {
        "batch_size": 512,
        "accumulate": 2,
        "steps": 4,
        "learning_rate": 1e-2,
        "warmup_steps": 1,
        "log_steps": 1,
        "checkpoint_steps": 2,
        "ema_decay": 0.5,
        "skip_norm": 0.323,
        "skip_start_step": 0,
        "validation_images": 32,
        "sample_epochs": 0,
        "tensorboard": False,
    },
}

SCRIPT = """
import json, sys
from pathlib import Path
config, output, join = json.loads(sys.argv[1])
if join:
    from hvae_core.backends.processes import join_processes
    join_processes(*join)
from hvae_core.config import parse_config
from hvae_core.training import train
train(parse_config(config), Path(output), resume=True)
"""


def start(output, devices=1, join=None):
    flags = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
        " --xla_backend_optimization_level=0"
        # a busy machine may not get to both devices' programs for a while
        " --xla_cpu_collective_call_terminate_timeout_seconds=300"
        " --xla_cpu_collective_timeout_seconds=300"
    )
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps([CONFIG, str(output), join])],
        env={**os.environ, "XLA_FLAGS": flags},
        stderr=subprocess.PIPE,
        text=True,
    )


def free_address():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def wait_for(started):
    for name, process in started.items():
        _, message = process.communicate(timeout=300)
        assert process.returncode == 0, f"{name}: {message}"


def records(output):
    lines = (output / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def assert_the_same(one, other):
    assert [(r["event"], r["step"]) for r in one] == [(r["event"], r["step"]) for r in other]
    for a, b in zip(one, other, strict=True):
        for key in ("loss", "rate", "distortion", "gradient_norm", "skipped", "kl_per_layer"):
            assert a[key] == pytest.approx(b[key], abs=1e-4), (key, a["step"])
        if a.get("validation"):
            assert a["validation"]["elbo"] == pytest.approx(b["validation"]["elbo"], abs=1e-2)


@on_jax
@pytest.mark.slow
def test_two_devices_and_two_processes_train_like_one(tmp_path):
    """Two devices from the start; two processes from the middle of the run on one device."""
    pytest.importorskip("sklearn")
    from hvae_core.config import parse_config
    from hvae_core.training import train

    train(parse_config(CONFIG), tmp_path / "one")
    one = records(tmp_path / "one")
    skipped = [r["skipped"] for r in one if r["event"] == "step"]
    assert 0 < sum(skipped) < len(skipped)
    shutil.copytree(tmp_path / "one", tmp_path / "processes")
    shutil.rmtree(tmp_path / "processes" / "checkpoints" / "step-00000004")
    address = free_address()
    started = {
        "two devices": start(tmp_path / "two", devices=2),
        "process 0": start(tmp_path / "processes", join=[address, 2, 0]),
        "process 1": start(tmp_path / "processes", join=[address, 2, 1]),
    }
    wait_for(started)
    assert_the_same(one, records(tmp_path / "two"))
    assert_the_same(one, records(tmp_path / "processes"))
    sessions = (tmp_path / "processes" / "sessions.jsonl").read_text().splitlines()
    starts = [(session["step"], session["processes"]) for session in map(json.loads, sessions)]
    assert starts == [(0, 1), (2, 2)]


#: what looks at the batch as a whole: balanced rates, free bits, copies of the images
BALANCED = {
    **{key: value for key, value in CONFIG.items() if key != "measurement"},
    "model": {
        **CONFIG["model"], "condition": None, "input_channels": None, "resolutions": [8, 4],
        "encoder_blocks": [1, 1], "decoder_blocks": [1, 1],
    },
    "regularizer": "cr-vae",
    "train": {
        **CONFIG["train"], "batch_size": 64, "kl_balancing_steps": 3, "free_bits": 0.01,
        "skip_norm": 0.0,
    },
}  # fmt: skip


@on_torch
@pytest.mark.slow
def test_two_processes_of_torchrun_train_like_one(tmp_path):
    """From the middle of the run of one process; before its end free bits replace the balance."""
    pytest.importorskip("sklearn")
    from hvae_core.config import parse_config
    from hvae_core.training import train

    train(parse_config(BALANCED), tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "two")
    shutil.rmtree(tmp_path / "two" / "checkpoints" / "step-00000004")
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    command = ["-m", "hvae", "train", str(tmp_path / "two"), "--resume"]
    subprocess.run(
        [sys.executable, *launcher, "--rdzv-endpoint", free_address(), *command], check=True
    )
    assert_the_same(records(tmp_path / "one"), records(tmp_path / "two"))
    sessions = (tmp_path / "two" / "sessions.jsonl").read_text().splitlines()
    starts = [(session["step"], session["processes"]) for session in map(json.loads, sessions)]
    assert starts == [(0, 1), (2, 2)]


@on_torch
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_processes_divide_each_part_of_a_batch(groups, monkeypatch):
    from hvae_core.backends import processes

    rows = np.arange(48).reshape(16, 3)
    assert processes.own_rows(rows, groups) is rows
    monkeypatch.setattr(processes, "divides_rows", lambda: True)
    monkeypatch.setattr(processes, "process_count", lambda: 2)
    shares = []
    for index in range(2):
        monkeypatch.setattr(processes, "process_index", lambda index=index: index)
        shares.append(processes.own_rows(rows, groups).reshape(groups, -1, 3))
    np.testing.assert_array_equal(np.concatenate(shares, axis=1).reshape(16, 3), rows)
    assert [len(share[0]) for share in shares] == [8 // groups, 8 // groups]


@on_torch
def test_processes_have_to_divide_the_batch(monkeypatch):
    from hvae_core.backends import devices

    monkeypatch.setattr(devices, "divides_rows", lambda: True)
    monkeypatch.setattr(devices, "process_count", lambda: 3)
    with (
        pytest.raises(ConfigError, match="batch_size is 32, which 3 processes do not divide"),
        use_devices(TrainConfig(batch_size=32)),
    ):
        pass


@on_jax
@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 32}, "train.batch_size is 32, which 3 devices do not divide"),
        ({"batch_size": 18, "accumulate": 9}, r"do not divide in 9 parts \(train.accumulate\)"),
        ({"batch_size": 3, "compile": False}, "train.compile is false, which takes one device"),
    ],
)
def test_what_several_devices_cannot_do_is_told(monkeypatch, options, words):
    device = local_devices()[0]
    monkeypatch.setattr("hvae_core.backends.devices.local_devices", lambda: [device] * 3)
    with pytest.raises(ConfigError, match=words), use_devices(TrainConfig(**options)):
        pass


@on_jax
def test_noise_is_a_standard_normal_of_its_seed():
    a, b = (np.asarray(sharded_normal((64, 50), seed)) for seed in (1, 2))
    assert np.abs(a - b).max() > 0.1
    assert abs(a.mean()) < 5 / math.sqrt(a.size)
