"""``hvae report``: a run's curves, samples and configuration as one HTML page."""

from __future__ import annotations

from pathlib import Path

import click

from hvae_core.cli.common import emit, json_option


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FILE.html",
    help="The page (else report.html in the run folder).",
)  # fmt: skip
@click.option("--no-samples", is_flag=True, help="Leave out the images of the model: quick.")
@json_option
def command(run: Path, output: Path | None, no_samples: bool, as_json: bool) -> None:
    """Write the report of a training run, finished or not."""
    from hvae_core.report import write_report

    if not no_samples:
        from hvae_core.backends.selection import select_backend

        select_backend()
    path = write_report(run, output, samples=not no_samples)
    emit({"report": str(path)}, as_json, [f"the report is in {path}"])
