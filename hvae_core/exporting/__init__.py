"""Writing models for other runtimes and codebases. Importing this needs no Keras.

The formats are plugins of the kind ``export``, for which the names below are: what is exported is
said by `hvae_core.inference.programs.graphs`, and what was exported is run by `hvae_core.exported`.
"""

from hvae_core.exporting.comparison import compare
from hvae_core.exporting.export_folder import check_output, describe, report, write_folder
from hvae_core.exporting.exporting import (
    check_export,
    export_graphs,
    export_model,
    export_source,
    open_network,
)
from hvae_core.inference.programs import graphs

__all__ = [
    "check_export",
    "check_output",
    "compare",
    "describe",
    "export_graphs",
    "export_model",
    "export_source",
    "graphs",
    "open_network",
    "report",
    "write_folder",
]
