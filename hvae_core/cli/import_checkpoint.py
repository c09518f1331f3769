"""``hvae import``: checkpoints of other codebases as preset folders."""

from __future__ import annotations

import click

from hvae_core.cli.common import emit, json_option


@click.group()
def command() -> None:
    """Make a preset folder of another codebase's checkpoint."""


@command.command("openai-vdvae")
@click.argument("checkpoint", type=click.Path())
@click.option("-o", "--output", required=True, metavar="DIR", help="The preset's folder.")
@click.option(
    "--config", metavar="NAME|FILE.json",
    help="A configuration of the original, such as cifar10, or a JSON file with its keys; "
    "else the one whose tensors the checkpoint has.",
)  # fmt: skip
@click.option("--overwrite", is_flag=True, help="Replace a preset in DIR.")
@json_option
def openai_vdvae(
    checkpoint: str, output: str, config: str | None, overwrite: bool, as_json: bool
) -> None:
    """Import a checkpoint of openai/vdvae, raw or averaged weights.

    Needs PyTorch to read a .th file. Nothing in the file is run.
    """
    from hvae_core.zoo.importing import import_openai_vdvae

    preset = import_openai_vdvae(checkpoint, output, config, overwrite)
    payload = {
        "output": str(preset.folder),
        "parameters": preset.info["parameters"],
        "sha256": preset.weights.sha256,
    }
    emit(payload, as_json, [f"{preset.info['parameters']:,} parameters in {preset.folder}"])
