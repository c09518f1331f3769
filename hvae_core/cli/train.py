"""``hvae train``: train a preset or a configuration, or go on with a run."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import click

from hvae_core.cli.common import (
    WholeNumber,
    emit,
    json_option,
    overrides_option,
)
from hvae_core.cli.images import other_ways


@click.command()
@click.argument("source", metavar="PRESET|FILE.yaml|RUN")
@overrides_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="DIR",
    help="The run folder (else runs/NAME-TIME).",
)  # fmt: skip
@click.option(
    "--resume", is_flag=True,
    help="Go on with the run in --output, or with RUN. Without it, RUN gives its configuration to "
    "a new run.",
)  # fmt: skip
@click.option(
    "--weights", metavar="PRESET|RUN|FILE",
    help="Start from these weights, not from fresh ones.",
)  # fmt: skip
@click.option(
    "--allow-changed-data", is_flag=True,
    help="Go on with a run though its training images are others now.",
)  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Check everything, print it, train nothing.")
@click.option(
    "--devices", metavar="0,1,...", help="Devices to train on, as --set train.devices=[0,1].",
)  # fmt: skip
@click.option(
    "--coordinator", envvar="HVAE_COORDINATOR", metavar="HOST:PORT",
    help="Of several processes: where the first one listens, or auto under SLURM or Open MPI "
    "(JAX) or torchrun (PyTorch; also without this option).",
)  # fmt: skip
@click.option(
    "--processes", envvar="HVAE_PROCESSES", type=WholeNumber(1),
    help="How many processes train together.",
)  # fmt: skip
@click.option(
    "--process-index", envvar="HVAE_PROCESS_INDEX", type=WholeNumber(0),
    help="Which of them this is, from 0.",
)  # fmt: skip
@json_option
def command(
    source: str,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: bool,
    weights: str | None,
    devices: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a model.

    A run that was killed goes on with the same numbers: hvae train RUN --resume, or the same
    command with --resume where it had --output.
    """
    from hvae_core.api import train
    from hvae_core.backends.processes import process_index
    from hvae_core.backends.selection import select_training_backend
    from hvae_core.config import load_config
    from hvae_core.errors import BadInputError
    from hvae_core.runs.run_folder import RunFolder, is_run_folder
    from hvae_core.zoo.finding import find_configuration, find_weights_file

    if devices is not None:
        overrides = (*overrides, f"train.devices=[{devices}]")
    config = load_config(find_configuration(source), overrides)
    if resume and output is None:
        if not is_run_folder(source):
            raise BadInputError("--resume needs to know the run.", "Name its folder with --output.")
        output = Path(source)
    if options["allow_changed_data"] and not resume:
        raise BadInputError(
            "--allow-changed-data is for a run that is resumed.", "Give --resume as well."
        )
    several = _join(options["coordinator"], options["processes"], options["process_index"])
    if output is None and several and not options["dry_run"]:
        raise BadInputError(
            "Several processes need to know the one run folder.", "Name it with --output."
        )
    if output is None:
        name = Path(source).stem if source.endswith((".yaml", ".yml")) else Path(source).name
        output = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    if weights is not None and not (resume and RunFolder(output).has_checkpoint):
        find_weights_file(weights)
    click.echo(f"Starting {select_training_backend()}.", err=True)
    if options["dry_run"]:
        with other_ways():
            return _dry_run(config, as_json)
    with other_ways():
        result = train(
            config,
            output,
            resume=resume,
            weights=weights,
            allow_changed_data=options["allow_changed_data"],
        )
    if process_index():
        return None
    payload = {
        "output": str(result.output),
        "steps": result.steps,
        "stopped_early": result.stopped_early,
        "validation": result.metrics,
    }
    lines = [f"{result.steps} updates; the run is in {result.output}"]
    if result.metrics:
        bound = f"ELBO {result.metrics['elbo']:.2f} nats"
        if config.build_likelihood().unit == "bits/dim":
            bound = f"{result.metrics['bits_per_dim']:.4f} bits/dim, {bound}"
        lines.append(f"validation: {bound} on {result.metrics['images']} images")
    emit(payload, as_json, lines)
    return None


def _join(coordinator: str | None, processes: int | None, index: int | None) -> bool:
    """Join the other processes, if there are any.

    Returns:
        Whether there are.

    Raises:
        BadInputError: something is missing.
    """
    from hvae_core.backends.processes import join_processes, torchrun_started_several
    from hvae_core.backends.selection import select_backend, select_training_backend
    from hvae_core.errors import BadInputError

    if coordinator is None:
        if processes is not None or index is not None:
            raise BadInputError(
                "--processes and --process-index need --coordinator.",
                "Give the first process's HOST:PORT, or auto under a launcher.",
            )
        if not torchrun_started_several() or select_training_backend() != "torch":
            return False
        join_processes()
        return True
    automatic = coordinator == "auto"
    if not automatic and (processes is None or index is None):
        raise BadInputError("--coordinator HOST:PORT needs --processes and --process-index.")
    select_backend()
    join_processes(None if automatic else coordinator, processes, index)
    return True


def _dry_run(config: Any, as_json: bool) -> None:
    """Say what a run would be."""
    from hvae_core.config import check_against_shape, dump_yaml
    from hvae_core.training import schedules
    from hvae_core.training.feeding import open_images
    from hvae_core.training.memory import estimate_memory
    from hvae_core.training.optimizer import check_groups
    from hvae_core.training.step import check_compiling, freeze
    from hvae_core.vae import HierarchicalVAE
    from hvae_core.weights.parameter_groups import name_of

    check_compiling(config.train)
    images = open_images(config)
    check_against_shape(config, images.shape)
    per_epoch = images.training_batches(config).steps_per_epoch
    total = schedules.total_steps(config.train, per_epoch)
    for tracker in config.train.trackers:
        tracker.build()
    model = HierarchicalVAE(config)
    freeze(model, config.train.freeze, config.train.objective)
    check_groups(config.train, [name_of(weight) for weight in model.trainable_variables])
    parameters = model.count_params()
    frozen = sum(math.prod(v.shape) for v in model.weights if not v.trainable)
    memory = estimate_memory(config, parameters, model.likelihood.parameters, frozen)
    facts = {
        "parameters": parameters,
        **({"frozen_parameters": frozen} if frozen else {}),
        "latent_layers": len(model.latent_shapes),
        "training_images": len(images.training),
        "validation_images": len(images.validation),
        "steps_per_epoch": per_epoch,
        **({"steps": total} if total is not None else {"minutes": config.train.minutes}),
        "state_bytes": memory.state,
        "activation_bytes_estimate": memory.activations,
    }
    numbers = (f"{key}: {value:,}" for key, value in facts.items())
    lines = [dump_yaml(config).rstrip(), "", *images.notes, *numbers]
    payload = {"config": config.to_dict(), **facts, "notes": list(images.notes)}
    emit(payload, as_json, lines)
