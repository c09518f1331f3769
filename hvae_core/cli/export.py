"""``hvae export``: a model in another codebase's format."""

from __future__ import annotations

import click

from hvae_core.cli.common import emit, json_option


@click.command()
@click.argument("source", metavar="PRESET|DIR")
@click.option("-o", "--output", required=True, help="The file to write.")
@click.option(
    "--format", "kind", type=click.Choice(["openai-vdvae"]), required=True,
    help="openai-vdvae: a state dict with the original's names (.th, or .safetensors).",
)  # fmt: skip
@json_option
def command(source: str, output: str, kind: str, as_json: bool) -> None:
    """Write a model's weights for another codebase."""
    from hvae_core.zoo.importing import export_openai_vdvae

    path = export_openai_vdvae(source, output)
    emit({"output": str(path), "format": kind}, as_json, [f"{source} in {path}"])
