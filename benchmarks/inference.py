"""Sampling and reconstruction, batch 1 and 16: backends and exported formats against plain PyTorch.

``python benchmarks/inference.py [--size 64 | --preset NAME] [--subjects plain openvino ...]``.
Noise and pixels included. A subject is ``plain``, a backend, or ``FORMAT-PRECISION`` of an export
(``openvino-int8``, ``onnx-float32``), which runs without Keras: a batch of 1 with all cores, a
larger one divided among them.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from comparison import check_agreement, config_file, configuration, parser, print_table
from worker import MARK, PLAIN, WARM_UP, answer

TASKS = ("sample", "reconstruct")
EXPORTS = ("openvino-float32", "openvino-float16", "openvino-int8", "onnx-float32")


def plain_runner(config: Any) -> Callable[[str, np.ndarray], Any]:
    import torch
    from plain_torch import PlainVDVAE

    model, device = PlainVDVAE(config).eval(), torch.device("cpu")

    def run(task: str, images: np.ndarray) -> Any:
        with torch.inference_mode():
            if task == "sample":
                return model.sample(len(images), device)
            return model.reconstruct(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()))

    return run


def hvae_runner(name: str, config: Any, exports: Path) -> Callable[[str, np.ndarray], Any]:
    if name in EXPORTS:
        from hvae_core.exported.exported_model import load_exported

        modes = {m: load_exported(exports / name, m) for m in ("latency", "throughput")}
    else:
        import hvae_core as hvae

        model = hvae.build(config, backend=name)
        from hvae_core.backends import capturing

        capturing.CALLS_BEFORE_RECORDING = 1

    def run(task: str, images: np.ndarray) -> Any:
        rows = len(images)
        chosen = modes["throughput" if rows > 1 else "latency"] if name in EXPORTS else model
        if task == "sample":
            return chosen.sample(rows, batch_size=rows)
        return chosen.reconstruct(images, batch_size=rows)

    return run


def work(name: str, config_path: str, exports: str) -> None:
    """A subject's process: each line ``TASK BATCH STEPS`` is answered with the seconds."""
    from hvae_core.config import load_config

    config = load_config(config_path)
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    run = plain_runner(config) if name == PLAIN else hvae_runner(name, config, Path(exports))
    answer(seconds=time.perf_counter() - start)
    for line in sys.stdin:
        task, batch, steps = line.split()
        images = rng.integers(0, 256, (int(batch), *config.model.image_shape), np.uint8)
        start = time.perf_counter()
        for _ in range(int(steps)):
            run(task, images)
        answer(seconds=time.perf_counter() - start)


class Subject:
    """A subject in its own process; it computes only while it is asked to."""

    def __init__(self, name: str, config: Path, exports: Path) -> None:
        self.name = name
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        environment.pop("KERAS_BACKEND", None)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--work", name, str(config), str(exports)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        self._answer()

    def _answer(self) -> float:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))["seconds"]
        raise SystemExit(f"{self.name}: the process ended with {self._process.wait()}")

    def run(self, task: str, batch: int, steps: int) -> float:
        """Seconds a step."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task} {batch} {steps}\n")
        self._process.stdin.flush()
        return self._answer() / steps

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def export_all(names: list[str], config: Path, folder: Path) -> None:
    """The exports that are compared, of one model with fresh weights."""
    code = (
        "import sys, hvae_core as hvae; "
        "hvae.build(sys.argv[1], backend='openvino').save(sys.argv[2])"
    )
    preset = folder / "model"
    subprocess.run([sys.executable, "-c", code, str(config), str(preset)], check=True)
    for name in names:
        kind, precision = name.split("-")
        subprocess.run(
            [sys.executable, "-m", "hvae_core.cli.main", "export", str(preset), "-o",
             str(folder / name), "--format", kind, "--precision", precision],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


def measure(
    plain: Subject, others: list[Subject], task: str, batch: int, arguments: Any
) -> list[list[str]]:
    """The rows of a table: each of the others in turn with the plain model."""
    steps = max(1, arguments.steps * (1 if batch > 1 else 8))
    for subject in (plain, *others):
        subject.run(task, batch, WARM_UP)
    seconds: dict[str, list[float]] = {subject.name: [] for subject in (plain, *others)}
    ratios: dict[str, list[float]] = {subject.name: [] for subject in others}
    for number in range(arguments.rounds):
        for other in others:
            pair = (plain, other) if number % 2 == 0 else (other, plain)
            taken = {subject.name: subject.run(task, batch, steps) for subject in pair}
            for name, value in taken.items():
                seconds[name].append(value)
            ratios[other.name].append(taken[PLAIN] / taken[other.name])
    rows = []
    for subject in (plain, *others):
        values = ratios.get(subject.name, [])
        median = statistics.median(seconds[subject.name])
        rows.append(
            [
                task, str(batch), subject.name, f"{median * 1e3:.1f}", f"{batch / median:.1f}",
                f"{statistics.median(values):.2f}" if values else "1",
                f"{min(values):.2f} to {max(values):.2f}" if values else "",
            ]
        )  # fmt: skip
    return rows


def main() -> None:
    """Compare, and print the table."""
    parse = parser(__doc__.splitlines()[0], batch=16, steps=3, rounds=5)
    parse.add_argument("--subjects", nargs="+", help="which (default: backends and exports)")
    arguments = parse.parse_args()
    names = arguments.subjects or [*arguments.backends, "openvino", *EXPORTS]
    names = [name for name in names if name != PLAIN]
    with (
        config_file(configuration(arguments)) as config,
        tempfile.TemporaryDirectory() as folder,
    ):
        difference = check_agreement(config)
        export_all([name for name in names if name in EXPORTS], config, Path(folder))
        subjects = [Subject(name, config, Path(folder)) for name in (PLAIN, *names)]
        rows = []
        for task in TASKS:
            for batch in (1, arguments.batch):
                rows += measure(subjects[0], subjects[1:], task, batch, arguments)
        for subject in subjects:
            subject.close()
    head = ["task", "batch", "subject", "ms", "images/s", "ratio to plain", "spread"]
    print_table(head, rows)
    packages = ("hvae", "keras", "torch", "openvino")
    print(
        f"\n{arguments.preset or f'width {arguments.size}'}, {arguments.rounds} rounds, "
        f"{os.cpu_count()} CPU cores, {platform.machine()}; "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + f". Largest relative difference of the two models' ELBO: {difference:.1e}."
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(*sys.argv[2:5])
    else:
        main()
