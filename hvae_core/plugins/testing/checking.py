"""The contract kit run on an installed component: what ``hvae plugins check`` does."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hvae_core.errors import BadInputError, MissingDependencyError

#: kind: its contract in `hvae_core.plugins.testing`
CONTRACTS = {
    "attention": "AttentionContract",
    "block": "BlockContract",
    "dataset": "DatasetContract",
    "flow": "FlowContract",
    "likelihood": "LikelihoodContract",
    "optimizer": "OptimizerContract",
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
    """How the tests ended: numbers, and the names of those that failed with the last line."""

    passed: int = 0
    skipped: int = 0
    failures: dict[str, str] = dataclasses.field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether something was tested and nothing failed."""
        return self.passed > 0 and not self.failures

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Count a test's end; a hook of pytest."""
        if report.failed:
            name = report.nodeid.rpartition("::")[2]
            lines = str(report.longrepr or "").splitlines()
            errors = [line[1:].strip() for line in lines if line.startswith("E ")]
            self.failures[name] = errors[0] if errors else "failed"
        elif report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.passed += 1

    def pytest_collectreport(self, report: Any) -> None:
        """Count a failure to collect; a hook of pytest."""
        if report.failed:
            self.failures["collection"] = str(report.longrepr).strip().splitlines()[-1]


def check_component(
    kind: str, name: str, configs: Sequence[Mapping[str, Any]], verbose: bool = False
) -> CheckReport:
    """Run the contract of ``kind`` on an installed component, on the active backend.

    Args:
        kind: the component's kind.
        name: its name.
        configs: the options to try it with.
        verbose: let pytest print to stdout.

    Raises:
        BadInputError: the kind has no contract.
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
    report = CheckReport()
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
        arguments += ["-v", "-W", "ignore", "--import-mode=importlib"]
        with contextlib.nullcontext() if verbose else contextlib.redirect_stdout(io.StringIO()):
            pytest.main(arguments, plugins=[report])
    return report
