"""Writing a run's report: ``plots/*.png`` and one HTML page that needs nothing else."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hvae_core.errors import BadInputError, HvaeError
from hvae_core.files.paths import is_folder
from hvae_core.files.replacing import disk_errors, replace_file
from hvae_core.report.collect import RunFacts, collect
from hvae_core.report.curves import draw_curves, plots_are_possible
from hvae_core.report.html import render
from hvae_core.report.picture import Picture

if TYPE_CHECKING:
    from hvae_core.interfaces import Dataset
    from hvae_core.vae import HierarchicalVAE

REPORT_FILE = "report.html"
_ANOTHER = "Name another file with --output, such as report.html in a folder of yours."


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
        output: the page; by default ``report.html`` in the run folder. Elsewhere it is written
            even if the run folder's ``plots/`` cannot be, and says so.
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
    target = facts.path / REPORT_FILE if output is None else Path(output)
    writing = functools.partial(disk_errors, hint=_ANOTHER, kind=BadInputError)
    with writing(f"write {target}"):
        if is_folder(target):
            raise BadInputError(f"Cannot write {target}: it is a folder, not a file.", _ANOTHER)
    pictures, notes = draw(facts, samples, model)
    try:
        _write_plots(facts.path / "plots", pictures)
    except BadInputError as error:
        if output is None:
            raise
        notes = [*notes, error.message]  # the page has the pictures in it
    with writing(f"write {target}"):
        return replace_file(target, render(facts, pictures, notes), flush=False)


def _write_plots(folder: Path, pictures: Sequence[Picture]) -> None:
    for picture in pictures:
        for name, png in picture.files.items():
            path = folder / name
            hint = "Write the page elsewhere with --output; it has the pictures in it."
            with disk_errors(f"write {path}", hint, BadInputError):
                replace_file(path, png, flush=False)


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
