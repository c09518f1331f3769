"""The shipped weights give the figures that were recorded, on the first test images.

All images take minutes: ``hvae evaluate NAME --set data.root=DIR`` gives the card's figure.
"""

import pytest

import hvae

CIFAR10 = {"name": "cifar10"}
#: the padding and the binarization of the presets; the training split of the reference data is a
#: copy, its test split is MNIST's
MNIST = {"name": "mnist", "padding": 2, "binarization": "dynamic", "near_exact": True}
COMPLETING = {"measurement": "columns:0.25", "limit": 8, "draws": 8}
RECORDED = {
    "cifar10-vdvae": (CIFAR10, {"limit": 64}, {"bits_per_dim": 3.60374}),
    "cifar10-vdvae-small": (CIFAR10, {"limit": 64}, {"bits_per_dim": 3.92888}),
    "cifar10-vdvae-columns": (
        CIFAR10, COMPLETING,
        {"bits_per_dim": 9.49164, "psnr_of_mean": 21.2268, "coverage_50": 0.541829},
    ),
    "mnist-vdvae": (MNIST, {"limit": 200}, {"elbo": -79.6046}),
    "mnist-vdvae-label": (MNIST, {"limit": 200}, {"elbo": -78.1714}),
    "mnist-vdvae-columns": (
        MNIST, COMPLETING, {"elbo": -158.127, "psnr_of_mean": 17.0677, "coverage_50": 0.496094}
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_the_weights_give_what_was_recorded(name, shared_folder):
    dataset, options, figures = RECORDED[name]
    root = str(shared_folder / "data" / dataset["name"])
    found = hvae.evaluate(name, {**dataset, "root": root}, **options)
    for figure, value in figures.items():
        assert found[figure] == pytest.approx(value, rel=1e-4), figure
