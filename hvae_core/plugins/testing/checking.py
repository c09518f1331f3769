"""The contract kit run on an installed component: what ``hvae plugins check`` does."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hvae_core.config.loading import create_component
from hvae_core.errors import (
    BadInputError,
    ConfigError,
    DataError,
    DownloadError,
    MissingDependencyError,
)
from hvae_core.plugins import manager

#: kind: its contract in `hvae_core.plugins.testing`
CONTRACTS = {
    "attention": "AttentionContract",
    "block": "BlockContract",
    "condition": "ConditionContract",
    "dataset": "DatasetContract",
    "flow": "FlowContract",
    "likelihood": "LikelihoodContract",
    "measurement": "MeasurementContract",
    "optimizer": "OptimizerContract",
    "prior": "PriorContract",
    "regularizer": "RegularizerContract",
    "schedule": "ScheduleContract",
    "tracker": "TrackerContract",
}

_MODULE = """from hvae_core.plugins.testing import {contract}


class TestComponent({contract}):
    spec = {spec!r}
    configs = {configs!r}
"""


@dataclasses.dataclass
class CheckReport:
    """How the tests ended: numbers, and the names of those that failed with the last line.

    ``tell``, where one is given, is called with each line that is told while they run.
    """

    passed: int = 0
    skipped: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)
    #: why tests were skipped, and how many
    skips: dict[str, int] = dataclasses.field(default_factory=dict)
    tell: dataclasses.InitVar[Callable[[str], None] | None] = None

    def __post_init__(self, tell: Callable[[str], None] | None) -> None:
        self._tell = tell or (lambda line: None)
        #: by cause: the traceback of the first test that failed of it
        self._causes: dict[str, str] = {}

    @property
    def sound(self) -> bool:
        """Whether something was tested and nothing failed."""
        return self.passed > 0 and not self.failures

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a test's end; a hook of pytest."""
        name = report.nodeid.rpartition("::")[2]
        if report.failed:
            text = str(report.longrepr or "")
            lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
            says = [line for line in lines if line.removesuffix(":") not in ("", "AssertionError")]
            self._failed(name, says[0] if says else "failed", text)
        elif report.skipped:
            # Of a skip pytest keeps file, line and "Skipped: why".
            why = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else "")
            why = why.removeprefix("Skipped: ") or "no reason is given"
            self.skipped += 1
            self.skips[why] = self.skips.get(why, 0) + 1
            self._tell(f"skipped  {_readable(name)}: {why}")
        elif report.when == "call":
            self.passed += 1
            self._tell(f"passed   {_readable(name)}")

    def pytest_collectreport(self, report: Any) -> None:
        """Count a failure to collect; a hook of pytest."""
        if report.failed:
            text = str(report.longrepr)
            self._failed("collection", text.strip().splitlines()[-1], text)

    def _failed(self, name: str, error: str, text: str) -> None:
        self.failures[name] = error
        self._tell(f"FAILED   {_readable(name)}: {error}")
        # Numbers differ from one shape to the next; the cause is the same.
        self._causes.setdefault(re.sub(r"[\d.e+-]+", "#", error), text)

    def explain(self) -> None:
        """Tell the traceback of the first failure of each cause."""
        for text in self._causes.values():
            self._tell("")
            for line in text.rstrip().splitlines():
                self._tell(line)


def _readable(name: str) -> str:
    """``test_it_learns[-]`` as "it learns"."""
    plain, bracket, case = name.partition("[")
    case = case.removesuffix("]").strip("-")
    words = plain.removeprefix("test_").replace("_", " ")
    return f"{words} [{case}]" if bracket and case else words


def check_component(
    kind: str,
    name: str,
    configs: Sequence[Mapping[str, Any]] = (),
    tell: Callable[[str], None] | None = None,
) -> CheckReport:
    """Run the contract of ``kind`` on an installed component, on the active backend.

    Args:
        kind: the component's kind.
        name: its name.
        configs: the options to try it with; where there are none, those of its spec.
        tell: called with a line for each test, and at the end with a traceback for each cause.

    Raises:
        BadInputError: the kind has no contract.
        ConfigError: the options are not valid, or one that is needed is not given.
        DataError: the files of a data set are not there, or damaged.
        DownloadError: they cannot be downloaded.
        MissingDependencyError: pytest is not installed.
    """
    if kind not in CONTRACTS:
        raise BadInputError(
            f"There is no contract for components of kind {kind!r}.",
            f"Kinds with one: {', '.join(CONTRACTS)}.",
        )
    try:
        import pytest
    except ImportError:
        raise MissingDependencyError.for_extra("pytest", "test", "Checking a component") from None
    for config in configs or manager().get(kind, name).trials:
        _check_options(kind, name, config)
    report = CheckReport(tell=tell)
    with tempfile.TemporaryDirectory(prefix="hvae-check-") as folder:
        # Several checks in one process must not share a module's name.
        module = Path(folder) / f"test_{Path(folder).name.replace('-', '_')}.py"
        text = _MODULE.format(
            contract=CONTRACTS[kind],
            spec=f"{kind}.{name}",
            configs=[dict(config) for config in configs],
        )
        module.write_text(text, encoding="utf-8")
        settings = Path(folder) / "pytest.ini"
        settings.write_text("[pytest]\n", encoding="utf-8")
        arguments = [str(module), "-c", str(settings), "-p", "no:cacheprovider", "--tb=short"]
        arguments += ["-W", "ignore", "--import-mode=importlib"]
        # The lines are ours: pytest's name files in a folder that is gone afterwards.
        arguments += ["--capture=sys"]
        with contextlib.redirect_stdout(io.StringIO()):
            pytest.main(arguments, plugins=[report])
    report.explain()
    return report


def _check_options(kind: str, name: str, config: Mapping[str, Any]) -> None:
    """Refuse options of the caller's that no test could pass with."""
    try:
        component = create_component(kind, {**config, "name": name})
    except ConfigError as error:
        # The options are given by themselves, not in a section of a file.
        message, hint = (
            re.sub(rf"(^|'){kind}\.", r"\1", text) for text in (error.message, error.hint)
        )
        if not hint and message.endswith("is missing."):
            hint = "Give what it needs as --options '{KEY: VALUE}'; what there is says: "
            hint += f"hvae plugins show {kind}.{name}"
        raise ConfigError(f"{kind}.{name}: {message}", hint) from None
    if kind != "dataset":
        return
    try:
        component.build().prepare()
    except (DataError, DownloadError) as error:
        if hasattr(component.options, "root"):
            how = "Or name a folder that has the files: --options '{root: DIR}'."
            raise type(error)(error.message, f"{error.hint} {how}".lstrip()) from error
        raise
