"""``hvae train``: train a preset or a configuration, or go on with a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hvae_core.cli.common import emit, json_option, overrides_option


@click.command()
@click.argument("source", metavar="PRESET|FILE.yaml|RUN")
@overrides_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR",
    help="The run folder (else runs/NAME-TIME).",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the run in --output.")
@click.option("--dry-run", is_flag=True, help="Check everything, print it, train nothing.")
@json_option
def command(
    source: str,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Train a model.

    A run that was killed goes on with the same numbers: the same command with --resume.
    """
    from hvae_core.api import find_configuration
    from hvae_core.backend import select_training_backend
    from hvae_core.config import load_config
    from hvae_core.errors import BadInputError
    from hvae_core.training.run_folder import is_run_folder

    config = load_config(find_configuration(source), overrides)
    if resume and output is None:
        if not is_run_folder(source):
            raise BadInputError("--resume needs to know the run.", "Name its folder with --output.")
        output = Path(source)
    if output is None:
        name = Path(source).stem if source.endswith((".yaml", ".yml")) else Path(source).name
        output = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    select_training_backend()
    if dry_run:
        return _dry_run(config, as_json)
    from hvae_core.training import train

    result = train(config, output, resume=resume)
    payload = {
        "output": str(result.output),
        "steps": result.steps,
        "stopped_early": result.stopped_early,
        "validation": result.metrics,
    }
    lines = [f"{result.steps} updates; the run is in {result.output}"]
    if result.metrics:
        bound = f"ELBO {result.metrics['elbo']:.2f} nats"
        if config.likelihood.build(config.model.image_shape).unit == "bits/dim":
            bound = f"{result.metrics['bits_per_dim']:.4f} bits/dim, {bound}"
        lines.append(f"validation: {bound} on {result.metrics['images']} images")
    emit(payload, as_json, lines)
    return None


def _dry_run(config: Any, as_json: bool) -> None:
    """Say what a run would be."""
    from hvae_core.config import check_against_shape, dump_yaml
    from hvae_core.model import HierarchicalVAE
    from hvae_core.training import schedules
    from hvae_core.training.feeding import open_images

    images = open_images(config)
    check_against_shape(config, images.shape)
    per_epoch = images.training_batches(config).steps_per_epoch
    total = schedules.total_steps(config.train, per_epoch)
    model = HierarchicalVAE(config)
    facts = {
        "parameters": model.count_params(),
        "latent_layers": len(model.latent_shapes),
        "training_images": len(images.training),
        "validation_images": len(images.validation),
        "steps_per_epoch": per_epoch,
        "steps": total,
    }
    lines = [dump_yaml(config).rstrip(), "", *(f"{key}: {value}" for key, value in facts.items())]
    emit({"config": config.to_dict(), **facts}, as_json, lines)
