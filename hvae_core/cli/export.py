"""``hvae export``: a model for another runtime or codebase."""

from __future__ import annotations

from typing import Any

import click

from hvae_core.cli.common import at_size, emit, json_option, size_option


@click.command()
@click.argument("source", metavar="PRESET|DIR|RUN")
@click.option("-o", "--output", required=True, help="The folder, or for openai-vdvae the file.")
@click.option(
    "--format", "kind", default="openvino", show_default=True,
    help="openvino: for `hvae sample DIR` and OpenVINO's own runtimes; onnx: the same graphs for "
    "onnxruntime; openai-vdvae: a state dict with the original's names (.th, or .safetensors); "
    "or another one that `hvae plugins list` shows.",
)  # fmt: skip
@click.option(
    "--precision", default="float32", show_default=True,
    help="Of the weights: float32, float16 or int8.",
)  # fmt: skip
@size_option
@json_option
def command(
    source: str,
    output: str,
    kind: str,
    precision: str,
    size: tuple[int, int] | None,
    as_json: bool,
) -> None:
    """Write a model for another runtime or codebase.

    An exported model draws, encodes and measures without Keras. Its ELBO is measured beside that
    of the model as it is.
    """
    from hvae_core.exporting import check_export, export_source
    from hvae_core.files.paths import is_keras_file

    if size is None and not is_keras_file(source):
        report = export_source(source, output, kind, precision)
    else:
        from hvae_core.api import load

        check_export(output, kind, precision)
        report = at_size(load(source), size).export(output, kind, precision)
    emit(report, as_json, [f"{source} in {report['output']}", *_figures(report)])


def _figures(report: dict[str, Any]) -> list[str]:
    if "elbo" not in report:
        return []
    return [
        f"ELBO {report['elbo']:.4f} nats, of the model itself {report['elbo_of_the_model']:.4f}; "
        f"at most {report['largest_difference']:.2g} nats apart "
        f"({report['images']} images: {report['on']})",
        f"{report['bytes'] / 2**20:.1f} MiB",
    ]
