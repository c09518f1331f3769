"""Peak resident memory of training steps: hvae on each backend against plain PyTorch.

Each runs in a fresh process. The packages alone take memory too, so what building and training
the model adds is told apart. On a GPU this is the host's memory alone.
"""

import statistics

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


def main() -> None:
    arguments = parser(__doc__.splitlines()[0], batch=16, steps=2, rounds=1).parse_args()
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
