"""Posteriors of few lines with and without a flow, at equal training, over several seeds.

    python benchmarks/posterior_flows.py --output runs/posterior-flows

On the frozen prior and likelihood of `digits-vdvae`, trains an encoder of one or two of the eight
columns, with each flow and without, for equally many updates by the bound (``evidence``). Then
measures bound, PSNR and coverage on the test images with one column (10 %) and two (25 %), and
prints means with the standard error over seeds. A run that is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from gain import summary

import hvae
from hvae_core.config import load_config
from hvae_core.vae import HierarchicalVAE
from hvae_core.weights import assign, model_arrays, weight_names
from hvae_core.weights.parameter_groups import is_chosen
from hvae_core.zoo.finding import find_configuration

START = "digits-vdvae"
#: what each posterior's flow is that of
FLOWS = {
    "Gaussian": None,
    "`sylvester`": "digits-vdvae-sylvester",
    "`conv-sylvester`": "digits-vdvae-conv-sylvester",
}
TRAINED = ("encoder", "decoder.blocks.*.posterior", "decoder.blocks.*.flow")
LINES = {"10 %": 1, "25 %": 2}
FIGURES = {
    "elbo": ("ELBO (nats)", 1),
    "psnr_of_mean": ("PSNR of the mean (dB)", 1),
    "coverage_50": ("coverage of 50 %", 100),
    "coverage_90": ("of 90 %", 100),
}


def start(flow: str | None, seed: int, updates: int) -> HierarchicalVAE:
    """The trained model with a new flow, which is the identity; all but the posterior is frozen."""
    known = None if flow is None else load_config(find_configuration(flow)).model.flow
    config = load_config(
        find_configuration(START),
        {
            "model.flow": None if known is None else known.to_dict(),
            "measurement": {"name": "columns", "known": 2, "least": 1, "fill": 0},
            "model.input_channels": 2,
            "train.seed": seed,
            "train.steps": updates,
            "train.learning_rate": 0.002,
            "train.evaluate_epochs": 1000,
            "train.sample_epochs": 0,
            "train.report": False,
            "train.tensorboard": False,
        },
    )
    model = HierarchicalVAE(config)
    arrays = model_arrays(model)
    arrays["encoder.stem.kernel"] *= 0  # it begins by not looking at the mask
    for name, array in model_arrays(hvae.load(START)).items():
        # A flow's posterior has further channels, its context, and the stem one for the mask.
        arrays[name][tuple(slice(size) for size in array.shape)] = array
    assign(model, arrays)
    for name, weight in weight_names(model).items():
        weight.trainable = is_chosen(name, TRAINED)
    return model


def measured(
    folder: Path, flow: str | None, seed: int, updates: int, limit: int | None
) -> dict[str, Any]:
    """The figures of a run with each number of lines; it is trained unless they are there."""
    found = folder / "figures.json"
    if not found.is_file():
        if not (folder / "checkpoints").is_dir():
            hvae.train(start(flow, seed, updates), folder)
        model = hvae.load(folder)
        figures = {
            share: hvae.evaluate(
                model, measurement=f"columns:{lines},fill=0", seed=seed, limit=limit
            )
            for share, lines in LINES.items()
        }
        found.write_text(json.dumps(figures, indent=2) + "\n")
    figures = json.loads(found.read_text())
    assert isinstance(figures, dict)
    return figures


def main() -> None:
    """Train, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("runs/posterior-flows"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--updates", type=int, default=600)
    parser.add_argument("--limit", type=int, help="only the first so many test images")
    options = parser.parse_args()
    # Seeds first, so that a table of fewer seeds can be had earlier.
    figures: dict[str, list[dict[str, Any]]] = {title: [] for title in FLOWS}
    for seed in options.seeds:
        for title, flow in FLOWS.items():
            folder = options.output / f"{title.strip('`').lower()}-{seed}"
            figures[title].append(measured(folder, flow, seed, options.updates, options.limit))
    print(f"{options.updates} updates, {len(options.seeds)} seeds\n")
    print("| known | posterior | " + " | ".join(label for label, _ in FIGURES.values()) + " |")
    print("|" + "-|" * (len(FIGURES) + 2))
    for share in LINES:
        for title, runs in figures.items():
            cells = [summary([f * run[share][k] for run in runs]) for k, (_, f) in FIGURES.items()]
            print(f"| {share} | {title} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
