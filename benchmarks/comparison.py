"""What the benchmarks share: arguments, the processes that are compared, and the table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from worker import MARK, PLAIN

WORKER = Path(__file__).with_name("worker.py")
#: relative difference of the two implementations' ELBO, in float32
TOLERANCE = 1e-3


def parser(description: str, batch: int, steps: int, rounds: int) -> argparse.ArgumentParser:
    """The arguments that all benchmarks take."""
    from hvae_core.backends.selection import installed_backends

    found = [name for name in installed_backends() if name != "openvino"]
    parse = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    model = parse.add_mutually_exclusive_group()
    model.add_argument("--preset", help="a preset or a YAML file")
    model.add_argument(
        "--size", type=int, default=64, help="else: width of the default model, 32x32 images"
    )
    parse.add_argument("--batch", type=int, default=batch, help="images a step")
    parse.add_argument("--steps", type=int, default=steps, help="steps in one measurement")
    parse.add_argument("--rounds", type=int, default=rounds, help="measurements of each")
    parse.add_argument("--backends", nargs="+", default=found, help="which to compare")
    parse.add_argument(
        "--precision", choices=["float32", "mixed_bfloat16"], default="float32", help="of networks"
    )
    return parse


def configuration(arguments: argparse.Namespace) -> Any:
    """The configuration to compare; no update is skipped, or it would cost less."""
    from hvae_core.config import load_config
    from hvae_core.zoo.finding import find_configuration

    overrides = [
        "train.skip_norm=0",
        "train.accumulate=1",
        "train.kl_balancing_steps=0",
        f"train.batch_size={arguments.batch}",
        f"train.precision={arguments.precision}",
    ]
    if arguments.preset:
        return load_config(find_configuration(arguments.preset), overrides)
    width = arguments.size
    middle = max(width // 2, 1)
    model = {"width": width, "encoder_middle_width": middle, "decoder_middle_width": middle}
    return load_config({"model": model, "train": {"ema_decay": 0.999}}, overrides)


class Subject:
    """An implementation in its own process; it computes only while it is asked to."""

    def __init__(self, task: str, name: str, batch: int, config: Path) -> None:
        self.name = name
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("KERAS_BACKEND", None)
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), task, name, str(batch), str(config)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self.start = self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise SystemExit(f"{self.name}: the process ended with {self._process.wait()}")

    def run(self, steps: int) -> dict[str, Any]:
        """Run so many steps: ``seconds``, and ``peak`` memory so far in MiB."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{steps}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait()


@contextmanager
def config_file(config: Any) -> Iterator[Path]:
    """The configuration as a file, while it is needed."""
    from hvae_core.config import dump_yaml

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"
        path.write_text(dump_yaml(config), encoding="utf-8")
        yield path


def check_agreement(config: Path) -> float:
    """Stop unless both implementations compute the same bound."""
    subject = Subject("agreement", PLAIN, 2, config)
    subject.close()
    difference = subject.start["difference"]
    if not difference < TOLERANCE:
        raise SystemExit(f"the plain model's ELBO differs by {difference:.1e}: not the same model")
    return difference


def check_parameters(subjects: Sequence[Subject]) -> int:
    """The number of parameters, which must be that of each."""
    counts = {subject.name: subject.start["parameters"] for subject in subjects}
    assert len(set(counts.values())) == 1, f"not the same number of parameters: {counts}"
    return next(iter(counts.values()))


def compare(task: str, arguments: argparse.Namespace) -> None:
    """Time hvae on each backend against the plain model, in turn, and print the table.

    A round measures the plain model and a backend one after the other, in the other order in the
    next round, so that a change of the machine's speed meets both.
    """
    with config_file(configuration(arguments)) as path, ExitStack() as stack:
        difference = check_agreement(path)
        subjects = []
        for name in [PLAIN, *arguments.backends]:
            subjects.append(Subject(task, name, arguments.batch, path))
            stack.callback(subjects[-1].close)
        count = check_parameters(subjects)
        plain, others = subjects[0], subjects[1:]
        seconds: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        ratios: dict[str, list[float]] = {subject.name: [] for subject in subjects}
        peaks: dict[str, float] = {}
        for number in range(arguments.rounds):
            for other in others:
                pair = (plain, other) if number % 2 == 0 else (other, plain)
                taken = {}
                for subject in pair:
                    result = subject.run(arguments.steps)
                    taken[subject.name] = result["seconds"]
                    seconds[subject.name].append(result["seconds"])
                    peaks[subject.name] = result["peak"]
                ratios[other.name].append(taken[PLAIN] / taken[other.name])
    images = arguments.batch * arguments.steps
    rows = []
    for subject in subjects:
        values = ratios[subject.name]
        rows.append(
            [
                label(subject.name),
                f"{images / statistics.median(seconds[subject.name]):.1f}",
                f"{statistics.median(values):.2f}" if values else "1",
                f"{min(values):.2f} to {max(values):.2f}" if values else "",
                f"{subject.start['first_seconds']:.1f}",
                f"{peaks[subject.name]:.0f}",
            ]
        )
    head = ["", "images/s", "ratio to plain", "spread", "first step, s", "peak RSS, MiB"]
    print_table(head, rows)
    print_conditions(arguments, subjects, count)
    print(f"Largest relative difference of the two models' ELBO: {difference:.1e}.")


def label(name: str) -> str:
    return "plain PyTorch" if name == PLAIN else f"hvae on {name}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table on stdout."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |")


def print_conditions(
    arguments: argparse.Namespace, subjects: Sequence[Subject], parameters: int
) -> None:
    """What was measured, on what."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for subject in subjects:
        versions |= subject.start["versions"]
    model = arguments.preset or f"width {arguments.size}"
    print(
        f"\n{model}, {arguments.precision}, {parameters:,} parameters, batches of "
        f"{arguments.batch}, "
        f"{arguments.rounds} rounds of {arguments.steps} steps, {os.cpu_count()} CPU cores, "
        f"{platform.machine()}."
    )
    print(", ".join(f"{name} {number}" for name, number in versions.items()) + ".")
