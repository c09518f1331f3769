"""A tiny model for tests: three scales, four layers, two of them at the finest."""

TINY = {
    "model": {
        "resolutions": [8, 4, 1],
        "image_channels": 1,
        "width": 8,
        "encoder_middle_width": 4,
        "decoder_middle_width": 4,
        "latent_width": 2,
        "encoder_blocks": [1, 1, 0],
        "decoder_blocks": [2, 1, 1],
        "readout": {"width": 8, "middle_width": 4, "blocks": 1},
    },
    "likelihood": {"name": "logistic-mixture", "mixtures": 2, "levels": 17},
    # Gradient descent and no averages: on JAX and TensorFlow these are half of what is compiled.
    "train": {"batch_size": 4, "steps": 10, "optimizer": "sgd", "ema_decay": 0.0},
}


def merged(changes):
    from hvae_core.config import Config

    model = {**TINY["model"], **changes.get("model", {})}
    train = {**TINY["train"], **changes.get("train", {})}
    return Config.model_validate({**TINY, **changes, "model": model, "train": train})
