"""What `test_keras_json.py` computes: here, and in a process whose ``keras.json`` is odd."""

import json

import keras
import numpy as np
from tiny import merged

from hvae_core.training.step import build_step
from hvae_core.vae import HierarchicalVAE


def figures() -> dict[str, list[float]]:
    """Numbers of models in which is every layer that knows of channels or dtypes."""
    wide = {"encoder_middle_width": 8, "decoder_middle_width": 8}
    out = {"width": 8, "middle_width": 8, "blocks": 1, "upsampling": "bilinear"}
    models = {
        "plain": {},
        "rich": {
            "flow": "conv-sylvester", "attention": "davi", "norm": "group", "conv": "depthwise5",
            "resolutions": [8, 4, 2], **wide, "readout": out,
        },
        "other": {
            "flow": {"name": "sylvester", "orthogonal_vectors": 2}, "patch_size": 2,
            "resolutions": [4, 2, 1], "readout": {"kind": "features"},
        },
    }  # fmt: skip
    return {name: _of_one(model) for name, model in models.items()}


def _of_one(model) -> list[float]:
    train = {"steps": 3, "ema_decay": 0.9, "weight_decay": 0.01, "optimizer": "sgd"}
    config = merged({"model": model, "train": train})
    model, rng = HierarchicalVAE(config), np.random.default_rng(0)
    for variable in model.trainable_variables:
        value = keras.ops.convert_to_numpy(variable.value)
        variable.assign(value + rng.normal(0, 0.1, value.shape).astype("float32"))
    x = rng.integers(0, 255, (4, 8, 8, 1)).astype("uint8")
    step = build_step(model, config.train)
    losses = []
    for number in range(2):
        found = step.read(step(x, step=number, learning_rate=1.5e-3, beta=1.0))
        losses += [found["loss"], found["gradient_norm"]]
    step.sync()
    bounds = [float(nats) for nats in model.elbo(x).elbo]
    pixels = [float(model.sample(2).mean(dtype="float64")), float(np.mean(model.predict(x)))]
    model.compile()
    fitted = model.evaluate(x, verbose=0)
    variables = [*model.variables, *step.updater.variables, *model.optimizer.variables]
    assert {str(v.dtype) for v in variables} <= {"float32", "int32", "uint32", "int64"}
    return [*losses, *bounds, *pixels, *fitted]


if __name__ == "__main__":
    assert keras.config.image_data_format() == "channels_first"
    assert keras.config.floatx() == keras.config.dtype_policy().name == "float16"
    print(json.dumps(figures()))
