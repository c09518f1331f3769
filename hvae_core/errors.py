"""The errors a user can meet: one sentence, one hint, one exit code.

Everything that is the user's to mend is an `HvaeError`. The command line prints its message and
hint without a traceback and leaves with `exit_code`; under ``--json`` it prints `to_dict()`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

__all__ = [
    "BackendError",
    "BadInputError",
    "ConfigError",
    "DataError",
    "DownloadError",
    "HvaeError",
    "MissingDependencyError",
    "PluginError",
    "PresetError",
    "SlowDownloadError",
    "TrainingError",
    "WeightsError",
    "did_you_mean",
    "one_line",
]

#: characters of a message; what it quotes has no bound of its own everywhere
LONGEST_TEXT = 4000
_LINE_BREAKS = re.compile(r"\s*[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]\s*")


class HvaeError(Exception):
    """An error with a sentence for the user.

    Args:
        message: one sentence that names the offending key or file and what was expected. It and the
            hint may quote what a file or a server says: see `one_line`.
        hint: how to mend it, or an empty string.
    """

    exit_code = 1
    code = "error"
    #: Keras would rewrite what a layer's call raises, and lose the hint; with this it passes it on
    _keras_call_info_injected = True

    def __init__(self, message: str, hint: str = "") -> None:
        self.message, self.hint = one_line(message), one_line(hint)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()

    def to_dict(self) -> dict[str, Any]:
        """The error as the command line's ``--json`` prints it."""
        return {"code": self.code, "message": self.message, "hint": self.hint}


class BadInputError(HvaeError):
    """What the user gave cannot be used (exit code 2)."""

    exit_code = 2
    code = "bad-input"


class ConfigError(BadInputError):
    """A configuration has an unknown key, a wrong length or an impossible value."""

    code = "config"


class PluginError(BadInputError):
    """A plugin is missing, broken, disabled or in conflict with another."""

    code = "plugin"


class DataError(BadInputError):
    """A data file is missing, truncated, corrupt or of the wrong shape."""

    code = "data"


class WeightsError(BadInputError):
    """A weights file does not fit the model, or is no weights file."""

    code = "weights"


class PresetError(BadInputError):
    """A preset is unknown, incomplete or fails verification."""

    code = "preset"


class BackendError(BadInputError):
    """The backend asked for is unknown or not installed."""

    code = "backend"


class MissingDependencyError(BadInputError):
    """An optional package is needed and not installed."""

    code = "missing-dependency"

    @classmethod
    def for_extra(cls, package: str, extra: str, purpose: str) -> MissingDependencyError:
        """The error for ``package``, which ``pip install 'hvae[extra]'`` would bring."""
        return cls(
            f"{purpose} needs the package {package}, which is not installed.",
            f"Install it with: pip install 'hvae[{extra}]'",
        )


class DownloadError(HvaeError):
    """A download failed or its content is not what was promised (exit code 1)."""

    code = "download"


class SlowDownloadError(DownloadError):
    """A server was too slow; what has arrived is kept."""


class TrainingError(HvaeError):
    """Training had to stop; what was done is kept (exit code 1)."""

    code = "training"


def one_line(text: str) -> str:
    """The text on one line of bounded length, in which nothing steers a terminal.

    Line breaks become blanks; what cannot be printed (escape sequences, changes of the writing
    direction, undecodable bytes of file names) is written as in a Python string.
    """
    line = _LINE_BREAKS.sub(" ", str(text)).strip()
    line = line if len(line) <= LONGEST_TEXT else f"{line[:LONGEST_TEXT]}..."
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def did_you_mean(name: str, candidates: Iterable[str]) -> str:
    """A hint with the nearest of ``candidates``, or the list of them when none is near."""
    known = sorted(candidates)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known names: {', '.join(known)}." if known else ""
