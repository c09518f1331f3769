"""Peak resident memory of training steps: hvae on each backend against plain PyTorch.

Each runs in a fresh process. The packages alone take memory too, so what building and training
the model adds is told apart. On a GPU this is the host's memory alone.

    python benchmarks/memory.py --rematerialisation --preset openai-cifar10 --backends torch

compares each backend with itself, without and with ``train.remat``: memory and time.
"""

import statistics
from argparse import Namespace

from comparison import (
    Subject,
    check_parameters,
    config_file,
    configuration,
    label,
    parser,
    print_conditions,
    print_table,
)
from worker import PLAIN

from hvae_core.config import load_config


def compare_rematerialisation(arguments: Namespace) -> None:
    """One process at a time: two large models would not fit beside each other."""
    rows, base = [], configuration(arguments).to_dict()
    for backend in arguments.backends:
        added, seconds, first = [], [], []
        for remat in (False, True):
            config = load_config(base, [f"train.remat={str(remat).lower()}"])
            with config_file(config) as path:
                subject = Subject("train", backend, arguments.batch, path)
                results = [subject.run(arguments.steps) for _ in range(arguments.rounds)]
                subject.close()
            added.append(results[-1]["peak"] - subject.start["imported"])
            seconds.append(statistics.median(r["seconds"] for r in results) / arguments.steps)
            first.append(subject.start["first_seconds"])
        rows.append(
            [
                label(backend),
                *(f"{value:.0f}" for value in added),
                f"{added[1] / added[0]:.2f}",
                *(f"{value:.1f}" for value in seconds),
                f"{seconds[1] / seconds[0]:.2f}",
                " and ".join(f"{value:.0f}" for value in first),
            ]
        )
    head = ["", "added, MiB", "with remat", "ratio", "s a step", "with remat", "ratio"]
    print_table([*head, "first step, s"], rows)
    print_conditions(arguments, [subject], subject.start["parameters"])


def main() -> None:
    parse = parser(__doc__.splitlines()[0], batch=16, steps=2, rounds=1)
    parse.add_argument("--rematerialisation", action="store_true", help="without and with it")
    arguments = parse.parse_args()
    (compare_rematerialisation if arguments.rematerialisation else compare_backends)(arguments)


def compare_backends(arguments: Namespace) -> None:
    names = [PLAIN, *arguments.backends]
    imported: dict[str, list[float]] = {name: [] for name in names}
    peaks: dict[str, list[float]] = {name: [] for name in names}
    with config_file(configuration(arguments)) as path:
        for _ in range(arguments.rounds):
            subjects = []
            for name in names:
                subject = Subject("train", name, arguments.batch, path)
                imported[name].append(subject.start["imported"])
                peaks[name].append(subject.run(arguments.steps)["peak"])
                subject.close()
                subjects.append(subject)
    count = check_parameters(subjects)
    added = {
        name: [p - i for p, i in zip(peaks[name], imported[name], strict=True)] for name in names
    }
    rows = []
    for name in names:
        ratios = [a / b for a, b in zip(added[name], added[PLAIN], strict=True)]
        rows.append(
            [
                label(name),
                f"{statistics.median(imported[name]):.0f}",
                f"{statistics.median(peaks[name]):.0f}",
                f"{statistics.median(added[name]):.0f}",
                f"{statistics.median(ratios):.2f}",
                f"{min(ratios):.2f} to {max(ratios):.2f}",
            ]
        )
    head = ["", "imported, MiB", "peak, MiB", "added, MiB", "ratio to plain", "spread"]
    print_table(head, rows)
    print_conditions(arguments, subjects, count)


if __name__ == "__main__":
    main()
