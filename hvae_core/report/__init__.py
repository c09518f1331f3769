"""The report of a training run: curves, images of the model, one HTML page. Imports no Keras."""

from hvae_core.report.at_end import ReportAtEnd
from hvae_core.report.collect import RunFacts, collect
from hvae_core.report.reporting import REPORT_FILE, write_report

__all__ = ["REPORT_FILE", "ReportAtEnd", "RunFacts", "collect", "write_report"]
