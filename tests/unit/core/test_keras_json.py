"""What the user's ``keras.json`` says changes no number and no dtype of a model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

pytestmark = pytest.mark.every_backend

#: what is computed in a process of its own; every layer that knows of channels or dtypes is in it
PROGRAM = """
import json, sys
import keras
import numpy as np
from tiny import merged, run_as_written
from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE

run_as_written()
assert keras.config.image_data_format() == sys.argv[1]
assert keras.config.floatx() == keras.config.dtype_policy().name == sys.argv[2]
wide = {"encoder_middle_width": 8, "decoder_middle_width": 8}
out = {"width": 8, "middle_width": 8, "blocks": 1, "upsampling": "bilinear"}
models = {"plain": {}}
if keras.config.backend() == "torch":
    models["rich"] = {
        "flow": "conv-sylvester", "attention": "davi", "norm": "group", "conv": "depthwise5",
        "resolutions": [8, 4, 2], **wide, "readout": out,
    }
    models["other"] = {
        "flow": {"name": "sylvester", "orthogonal_vectors": 2}, "patch_size": 2,
        "resolutions": [4, 2, 1], "readout": {"kind": "features"},
    }
found = {}
for name, model in models.items():
    train = {"steps": 3, "ema_decay": 0.9, "weight_decay": 0.01}
    train["optimizer"] = "sgd"
    config = merged({"model": model, "train": train})
    model, rng = HierarchicalVAE(config), np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = keras.ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.1, value.shape).astype("float32"))
    x = rng.integers(0, 255, (4, 8, 8, 1)).astype("uint8")
    step = build_step(model, config.train)
    losses = []
    for number in range(2):
        figures = step.read(step(x, step=number, learning_rate=1.5e-3, beta=1.0))
        losses += [figures["loss"], figures["gradient_norm"]]
    step.sync()
    bounds = [float(nats) for nats in model.elbo(x).elbo]
    pixels = [float(model.sample(2).mean(dtype="float64")), float(np.mean(model.predict(x)))]
    model.compile()
    fitted = model.evaluate(x, verbose=0)
    variables = [*model.variables, *step.updater.variables, *model.optimizer.variables]
    assert {str(v.dtype) for v in variables} <= {"float32", "int32", "uint32", "int64"}
    found[name] = [*losses, *bounds, *pixels, *fitted]
print(json.dumps(found))
"""


def figures(folder: Path, data_format: str, floatx: str) -> dict[str, list[float]]:
    """What the program prints where ``keras.json`` says this."""
    folder.mkdir()
    settings = {"image_data_format": data_format, "floatx": floatx, "epsilon": 1e-4}
    (folder / "keras.json").write_text(json.dumps(settings))
    environment = {
        **os.environ,
        "KERAS_HOME": str(folder),
        "KERAS_BACKEND": keras.config.backend(),
        "PYTHONPATH": str(Path(__file__).parent),
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, data_format, floatx],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_keras_json_changes_nothing(tmp_path):
    usual = figures(tmp_path / "usual", "channels_last", "float32")
    found = figures(tmp_path / "odd", "channels_first", "float16")
    for name, expected in usual.items():
        assert found[name] == pytest.approx(expected, rel=1e-6), name


def test_settings_of_the_process_change_nothing_and_stay(make_model, images):
    """The same where a program has set them itself."""
    usual = make_model()
    before = keras.config.dtype_policy()
    keras.config.set_image_data_format("channels_first")
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model()
        assert keras.config.image_data_format() == "channels_first"
        assert keras.config.dtype_policy().name == "mixed_float16"
        assert model.dtype_policy.name == "float32"
        assert model.encoder.compute_dtype == model.encoder.variable_dtype == "float32"
        assert model.elbo(images).elbo.tolist() == usual.elbo(images).elbo.tolist()
        assert (model.predict(images, verbose=0) == usual.predict(images, verbose=0)).all()
    finally:
        keras.config.set_image_data_format("channels_last")
        keras.config.set_dtype_policy(before)
