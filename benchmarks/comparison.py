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
#: what each measurement is by
CLOCKS = ("seconds", "cpu_seconds")


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
    parse.add_argument(
        "--set", dest="options", action="append", default=[], metavar="KEY=VALUE",
        help="an option of the configuration, such as train.compile=inductor",
    )  # fmt: skip
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
        *arguments.options,
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
        """Run so many steps: ``seconds``, ``cpu_seconds``, and ``peak`` memory so far in MiB."""
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


def compare(task: str, parse: argparse.ArgumentParser) -> None:
    """Time hvae on each backend against the plain model, in turn, and print the figures.

    A round measures the plain model and a backend one after the other, in the other order in the
    next round, so that a change of the machine's speed meets both. Each is measured by the clock
    and by the processor time of its threads, which other work on the machine lengthens less.
    """
    parse.add_argument("--json", action="store_true", help="print the figures as JSON")
    arguments = parse.parse_args()
    with config_file(configuration(arguments)) as path, ExitStack() as stack:
        difference = check_agreement(path)
        subjects = []
        for name in [PLAIN, *arguments.backends]:
            subjects.append(Subject(task, name, arguments.batch, path))
            stack.callback(subjects[-1].close)
        count = check_parameters(subjects)
        plain, others = subjects[0], subjects[1:]
        taken: dict[str, list[dict[str, Any]]] = {subject.name: [] for subject in subjects}
        ratios: dict[str, dict[str, list[float]]] = {
            other.name: {clock: [] for clock in CLOCKS} for other in others
        }
        for number in range(arguments.rounds):
            for other in others:
                pair = (plain, other) if number % 2 == 0 else (other, plain)
                results = {subject.name: subject.run(arguments.steps) for subject in pair}
                for name, result in results.items():
                    taken[name].append(result)
                for clock, found in ratios[other.name].items():
                    found.append(results[PLAIN][clock] / results[other.name][clock])
    images = arguments.batch * arguments.steps
    figures = {
        subject.name: {
            "images_per_second": images / _median(taken[subject.name], "seconds"),
            "images_per_cpu_second": images / _median(taken[subject.name], "cpu_seconds"),
            "ratios": ratios.get(subject.name),
            "first_step_seconds": subject.start["first_seconds"],
            "peak_mib": taken[subject.name][-1]["peak"],
        }
        for subject in subjects
    }
    noise = {clock: spread(taken[PLAIN], clock) for clock in CLOCKS}
    if arguments.json:
        told = conditions(arguments, subjects, count)
        found = {"task": task, **told, "figures": figures, "noise": noise}
        print(json.dumps({**found, "elbo_difference": difference}, indent=2))
        return
    rows = [
        [
            label(name),
            f"{of['images_per_second']:.1f}",
            *(cell for clock in CLOCKS for cell in _ratio(of["ratios"], clock)),
            f"{of['first_step_seconds']:.1f}",
            f"{of['peak_mib']:.0f}",
        ]
        for name, of in figures.items()
    ]
    head = ["", "images/s", "ratio to plain", "spread", "by CPU time", "spread", "first step, s",
            "peak RSS, MiB"]  # fmt: skip
    print_table(head, rows)
    print_conditions(arguments, subjects, count)
    print(
        f"Largest relative difference of the two models' ELBO: {difference:.1e}. Of the plain "
        f"model's measurements the longest was {noise['seconds']:.2f} times the shortest by the "
        f"clock, {noise['cpu_seconds']:.2f} times by CPU time."
    )


def _median(results: Sequence[dict[str, Any]], clock: str) -> float:
    return statistics.median(result[clock] for result in results)


def spread(results: Sequence[dict[str, Any]], clock: str) -> float:
    """The longest of some measurements of the same in shortest ones: how noisy the machine was."""
    found = [result[clock] for result in results]
    return max(found) / min(found)


def _ratio(ratios: dict[str, list[float]] | None, clock: str) -> tuple[str, str]:
    if ratios is None:
        return "1", ""
    values = ratios[clock]
    return f"{statistics.median(values):.2f}", f"{min(values):.2f} to {max(values):.2f}"


def label(name: str) -> str:
    return "plain PyTorch" if name == PLAIN else f"hvae on {name}"


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table on stdout."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print(f"| {' | '.join(cells)} |")


def conditions(
    arguments: argparse.Namespace, subjects: Sequence[Subject], parameters: int
) -> dict[str, Any]:
    """What was measured, on what."""
    versions: dict[str, str] = {"python": platform.python_version()}
    for subject in subjects:
        versions |= subject.start["versions"]
    return {
        "model": arguments.preset or f"width {arguments.size}",
        "precision": arguments.precision,
        "parameters": parameters,
        "batch": arguments.batch,
        "rounds": arguments.rounds,
        "steps": arguments.steps,
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "versions": versions,
    }


def print_conditions(
    arguments: argparse.Namespace, subjects: Sequence[Subject], parameters: int
) -> None:
    """The same in words."""
    told = conditions(arguments, subjects, parameters)
    print(
        f"\n{told['model']}, {told['precision']}, {parameters:,} parameters, batches of "
        f"{told['batch']}, {told['rounds']} rounds of {told['steps']} steps, {told['cores']} CPU "
        f"cores, {told['machine']}."
    )
    print(", ".join(f"{name} {number}" for name, number in told["versions"].items()) + ".")
