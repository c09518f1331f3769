"""The shipped weights give the figures that were recorded, on the first test images.

All images take minutes: the command beside each figure of a card gives its value.
"""

import json
import statistics
from pathlib import Path
from typing import Any

import hvae_zoo
import pytest

import hvae
from hvae_core.zoo import find_preset, read_preset

CIFAR10 = {"name": "cifar10"}
DIGITS = {"name": "digits"}
#: the padding and the binarization of the presets; the training split of the reference data is a
#: copy, its test split is MNIST's
MNIST = {"name": "mnist", "padding": 2, "binarization": "dynamic", "near_exact": True}
COMPLETING = {"measurement": "columns:0.25", "limit": 8, "draws": 8}
WEIGHTED = {"limit": 8, "importance_samples": 100}
#: of `mnist-vdvae`: the bounds of each test image, which ``hvae evaluate --bounds`` made
BOUNDS = Path(__file__).parents[2] / "benchmarks" / "results" / "mnist-vdvae-importance-1000.json"
#: the figure of its card that is their mean
MEAN_BOUND = "importance_weighted"
#: of each preset the data set, the options, and the value of each figure of its card on these
#: images; ``kl`` is the sum over the layers
RECORDED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, float]]] = {
    "cifar10-vdvae": (CIFAR10, {"limit": 64}, {"bits_per_dim": 3.60374, "kl": 3411.37}),
    "cifar10-vdvae-small": (CIFAR10, {"limit": 64}, {"bits_per_dim": 3.92888, "kl": 2878.79}),
    "cifar10-vdvae-columns": (
        CIFAR10, {**COMPLETING, "unadapted": "cifar10-vdvae-small"},
        {"bits_per_dim": 8.85547, "psnr_of_mean": 21.8268, "psnr_mean_filled": 13.6083,
         "psnr_unadapted_encoder": 13.3556, "coverage_50": 0.536024,
         "coverage_90": 0.914551, "kl": 945.3},
    ),
    "digits-vdvae-columns": (
        DIGITS, {**COMPLETING, "unadapted": "digits-vdvae"},
        {"bits_per_dim": 3.57005, "psnr_of_mean": 16.9805, "psnr_mean_filled": 12.4126,
         "psnr_unadapted_encoder": 11.1104, "coverage_50": 0.53125,
         "coverage_90": 0.921875, "kl": 9.19682},
    ),
    "mnist-vdvae": (MNIST, {"limit": 200}, {"nats": -79.6046, "kl": 31.0196}),
    "mnist-vdvae-label": (MNIST, {"limit": 200}, {"nats": -78.0206, "kl": 29.5762}),
    "mnist-vdvae-columns": (
        MNIST, {**COMPLETING, "unadapted": "mnist-vdvae"},
        {"elbo": -158.127, "psnr_of_mean": 17.0677, "psnr_mean_filled": 13.8273,
         "psnr_unadapted_encoder": 9.91913, "coverage_50": 0.496094,
         "coverage_90": 0.890951, "kl": 14.342},
    ),
    **{
        f"digits-vdvae{which}": (
            DIGITS, WEIGHTED,
            {"bits_per_dim": elbo, "importance_weighted_bits_per_dim": weighted, "kl": kl},
        )
        for which, elbo, weighted, kl in (
            ("", 1.74893, 1.62413, 22.4308),
            ("-conv-sylvester", 1.71416, 1.62588, 23.0383),
            ("-cr", 1.81136, 1.65763, 23.7081),
            ("-davi", 1.74656, 1.62381, 22.2748),
            ("-sylvester", 1.72833, 1.64672, 21.8911),
        )
    },
}  # fmt: skip


def value_of(figure: str, found: dict[str, Any]) -> float:
    """The value of a figure of a card, by its key there, in what an evaluation gives."""
    if figure == "kl":
        return sum(found["kl_per_layer"])
    baseline = figure.removeprefix("psnr_")
    if baseline in found.get("baselines", {}):
        return found["baselines"][baseline]["psnr_of_mean"]
    return found["elbo" if figure == "nats" else figure]


@pytest.mark.parametrize("name", RECORDED)
def test_the_weights_give_what_was_recorded(name: str, shared_folder: Path) -> None:
    dataset, options, figures = RECORDED[name]
    options = dict(options)
    if dataset is not DIGITS:
        dataset = {**dataset, "root": str(shared_folder / "data" / dataset["name"])}
    if "unadapted" in options:
        options["unadapted"] = hvae.load(options["unadapted"])
    model = hvae.load(name)
    found = hvae.evaluate(model, dataset, **options)
    if "measurement" in options:
        whole = hvae.evaluate(model, dataset, limit=options["limit"])
        found["kl_per_layer"] = whole["kl_per_layer"]
    got = {figure: value_of(figure, found) for figure in figures}
    assert got == pytest.approx(figures, rel=1e-4)


def test_the_bounds_of_a_thousand_draws_are_what_was_kept(shared_folder: Path) -> None:
    """Of the first image: all images take hours."""
    kept = json.loads(BOUNDS.read_text(encoding="utf-8"))
    about = kept["about"]
    assert len(kept["importance_weighted"]) == about["images"] == 10_000
    figure = find_preset("mnist-vdvae").figures[MEAN_BOUND]
    assert round(statistics.fmean(kept["importance_weighted"]), 2) == figure["value"]
    dataset = {**MNIST, "root": str(shared_folder / "data" / "mnist")}
    found = hvae.evaluate(
        "mnist-vdvae", dataset, limit=1, importance_samples=about["importance_samples"],
        seed=about["seed"],
    )  # fmt: skip
    assert found["elbo"] == pytest.approx(kept["elbo"][0], rel=1e-4)
    assert found["importance_weighted"] == pytest.approx(kept["importance_weighted"][0], rel=1e-4)


def test_each_figure_of_each_card_is_recorded() -> None:
    for path in Path(hvae_zoo.__file__).parent.glob("*/preset.yaml"):
        preset = read_preset(path.parent)
        wanted = {*preset.figures, *(["kl"] if preset.info.get("layers") else [])}
        recorded = set(RECORDED.get(preset.name, ({}, {}, {}))[2])
        if preset.name == "mnist-vdvae":
            recorded.add(MEAN_BOUND)
        assert wanted == recorded, preset.name
