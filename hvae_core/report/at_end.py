"""The report as a callback of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hvae_core.backends.processes import process_count
from hvae_core.report.reporting import write_report
from hvae_core.runs.best_checkpoint import find_weights
from hvae_core.training.callbacks import Callback, Run

if TYPE_CHECKING:
    from hvae_core.interfaces import Dataset
    from hvae_core.vae import HierarchicalVAE


class ReportAtEnd(Callback):
    """Writes ``plots/`` and ``report.html`` when the run is over, see `write_report`.

    Without sample grids (``train.sample_epochs: 0``), and where several processes train together,
    it leaves out the images of the model. Whatever goes wrong is told and harms nothing.

    Args:
        dataset: the run's data set, where it is open already.
    """

    def __init__(self, dataset: Dataset | None = None) -> None:
        self.dataset = dataset

    def finished(self, run: Run) -> None:
        """See `Callback.finished`. The model then holds the best weights."""
        if not run.is_main:
            return
        draws = bool(run.config.train.sample_epochs) and process_count() == 1
        try:
            model = self._best(run) if draws else None
            write_report(run.output, samples=draws, model=model, dataset=self.dataset)
        except Exception as error:  # the run itself is done
            run.note(f"The report was not written: {error}. Try: hvae report {run.output}")

    def _best(self, run: Run) -> HierarchicalVAE:
        # The run's own model: its compiled sampling, and no second model in memory.
        from hvae_core.weights import load_weights

        load_weights(run.model, find_weights(run.output)[1])
        return run.model
