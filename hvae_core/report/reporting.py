"""Writing a run's report: ``plots/*.png`` and one HTML page that needs nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hvae_core.errors import BadInputError, HvaeError
from hvae_core.files.replacing import replace_file
from hvae_core.report.collect import RunFacts, collect
from hvae_core.report.curves import draw_curves, plots_are_possible
from hvae_core.report.html import render
from hvae_core.report.picture import Picture

if TYPE_CHECKING:
    from hvae_core.interfaces import Dataset
    from hvae_core.vae import HierarchicalVAE

REPORT_FILE = "report.html"


def write_report(
    run: str | Path,
    output: str | Path | None = None,
    samples: bool = True,
    model: HierarchicalVAE | None = None,
    dataset: Dataset | None = None,
) -> Path:
    """Write the report of a run, which may be under way.

    What cannot be shown (curves without matplotlib, images without a checkpoint or without the
    data) is left out, and the page says so.

    Args:
        run: the run folder.
        output: the page; by default ``report.html`` in the run folder.
        samples: whether to draw images from the model; without them no Keras is imported.
        model: the run's model, with the weights to draw from; by default the best are loaded.
        dataset: the run's data set, where it is open already.

    Returns:
        The page's path.

    Raises:
        BadInputError: the folder holds no run, or the page cannot be written.
        ConfigError: the run's configuration is not valid.
    """
    facts = dataclasses.replace(collect(run), dataset=dataset)
    pictures, notes = draw(facts, samples, model)
    target = facts.path / REPORT_FILE if output is None else Path(output)
    try:
        for picture in pictures:
            for name, png in picture.files.items():
                replace_file(facts.path / "plots" / name, png, flush=False)
        return replace_file(target, render(facts, pictures, notes), flush=False)
    except OSError as error:
        raise BadInputError(
            f"The report cannot be written to {target}: {error.strerror or error}.",
            "Name another file with --output.",
        ) from error


def draw(
    facts: RunFacts, samples: bool, model: HierarchicalVAE | None
) -> tuple[list[Picture], list[str]]:
    """The pictures of a report, and a sentence for each that is missing."""
    pictures: list[Picture] = []
    notes: list[str] = []
    if not plots_are_possible():
        notes.append(
            "There are no curves: matplotlib is not installed. Install it with: "
            "pip install 'hvae[plot]'"
        )
    elif not facts.trained:
        notes.append("There are no curves yet: no update has been logged.")
    else:
        pictures += draw_curves(facts)
    if not samples:
        return pictures, notes
    from hvae_core.report import model_images

    try:
        model = model_images.load_model(facts) if model is None else model
    except HvaeError as error:
        return pictures, [*notes, f"There are no images of the model: {error}"]
    drawings: list[Callable[[RunFacts, HierarchicalVAE], Picture]] = [
        model_images.draw_samples,
        model_images.draw_hierarchy,
    ]
    for drawing in drawings:
        try:
            pictures.append(drawing(facts, model))
        except HvaeError as error:  # the data may lie on another machine
            notes.append(f"Some images of the model are missing: {error}")
    return pictures, notes
