"""Training raises the ELBO of real CIFAR-10 images.

On every backend of a cut of them; of the whole set on PyTorch alone.
"""

import keras
import numpy as np
import pytest

pytestmark = [pytest.mark.every_backend, pytest.mark.compiled]

MODEL = {
    "resolutions": [8, 4, 1],
    "patch_size": 4,
    "width": 32,
    "encoder_middle_width": 16,
    "decoder_middle_width": 16,
    "latent_width": 8,
    "encoder_blocks": 1,
    "decoder_blocks": 1,
    "readout": {"kind": "features"},
}


def opened(**data):
    """A configuration, its data set, and the two splits, each read once."""
    from hvae_core.config import Config

    config = Config.model_validate(
        {
            "model": MODEL,
            "likelihood": {"name": "logistic-mixture", "mixtures": 3},
            "data": data,
            "train": {"batch_size": 16, "ema_decay": 0.0},
        }
    )
    dataset = config.data.build()
    return config, dataset, dataset.load("train"), dataset.load("test")


def trained_and_fresh(config, train, test, steps: int) -> tuple[float, float, float]:
    """Mean ELBO, nats, of test images before and after training; bits/dim after."""
    from hvae_core.training.step import build_step
    from hvae_core.vae import HierarchicalVAE

    held_out = test.batch(np.arange(min(64, len(test))))
    model = HierarchicalVAE(config)
    before = float(model.elbo(held_out, seed=0).elbo.mean())
    step = build_step(model, config.train)
    rng = np.random.default_rng(0)
    for index in range(steps):
        rows = np.sort(rng.choice(len(train), 16, replace=False))
        step(train.batch(rows), step=index, learning_rate=3e-3, beta=1.0)
    step.sync()
    out = model.elbo(held_out, seed=0)
    return before, float(out.elbo.mean()), float(out.bits_per_dim.mean())


def test_the_elbo_of_unseen_fixture_images_rises(fixtures_folder):
    config, _, train, test = opened(name="parquet", root=str(fixtures_folder / "cifar10"))
    before, after, _ = trained_and_fresh(config, train, test, steps=20)
    assert after > before + 0.05 * abs(before)


@pytest.mark.skipif(keras.config.backend() != "torch", reason="the cut is on every backend")
def test_the_elbo_of_cifar10_rises(shared_folder):
    """Of the whole data set, whose numbers are checked here: decoding it takes long."""
    folder = shared_folder / "data" / "cifar10"
    if not folder.is_dir():
        pytest.skip("the reference data holds no CIFAR-10")
    config, dataset, train, test = opened(name="cifar10", root=str(folder))
    assert {"train": len(train), "test": len(test)} == dict(dataset.info.sizes)
    means = train.images.mean((0, 1, 2))
    np.testing.assert_allclose(means, [125.307, 122.950, 113.865], atol=0.01)
    before, after, bits_per_dim = trained_and_fresh(config, train, test, steps=40)
    assert after > before
    assert bits_per_dim < 7.5  # uniform pixels cost 8
