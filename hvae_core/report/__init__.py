"""The report of a training run: curves, images of the model, one HTML page. Imports no Keras."""

from hvae_core.report.collect import RunFacts, collect
from hvae_core.report.writing import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "RunFacts", "collect", "write_report"]
