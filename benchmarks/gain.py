"""What the benchmarks of a part's gain share: training, evaluating and averaging over seeds."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def hvae(*arguments: str) -> tuple[str, float]:
    """What ``hvae`` with these arguments prints, and its largest memory in MiB."""
    with subprocess.Popen(["hvae", *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"hvae {' '.join(arguments)} ended with {process.returncode}")
    return printed, used.ru_maxrss / 1024


def measure(
    source: str, settings: Mapping[str, Any], run: Path, evaluation: Sequence[str] = ()
) -> dict[str, Any]:
    """The figures of one run, which is trained first unless its figures are there.

    Args:
        source: a preset or a YAML file.
        settings: overrides by dotted key.
        run: the run folder; its ``figures.json`` keeps the result.
        evaluation: further arguments of ``hvae evaluate``.

    Returns:
        What ``hvae evaluate --json`` prints, and ``images_per_second``, the median of training's
        windows, and ``memory``, the training process's largest in MiB.
    """
    found = run / "figures.json"
    if not found.is_file():
        changes = [
            word
            for key, value in settings.items()
            for word in ("--set", f"{key}={json.dumps(value)}")
        ]
        resume = ["--resume"] if (run / "checkpoints").is_dir() else []
        _, memory = hvae("train", source, *changes, "--output", str(run), *resume)
        figures = json.loads(hvae("evaluate", str(run), "--json", *evaluation)[0])
        records = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
        # The first window holds the compilation.
        speeds = [r["images_per_second"] for r in records if r["event"] == "step"][1:]
        figures |= {"images_per_second": statistics.median(speeds), "memory": memory}
        found.write_text(json.dumps(figures, indent=2) + "\n")
    return json.loads(found.read_text())


def summary(values: Sequence[float]) -> str:
    """Mean and standard error."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.2f}"
    return f"{mean:.2f} ± {statistics.stdev(values) / math.sqrt(len(values)):.2f}"
