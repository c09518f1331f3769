"""The figures of the shipped presets' cards, measured again and compared to the printed digits.

``python benchmarks/card_figures.py --root cifar10=DIR --root mnist=DIR [PRESET]...`` runs the
commands that the cards name, some minutes for all of them. Those that take hours keep what they
have, in ``bounds.json`` here, to go on from, and are run with ``--hours`` alone.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

ZOO = Path(__file__).resolve().parents[1] / "zoo"


def recorded(folder: Path) -> dict[str, dict[str, float]]:
    """A preset's figures by the command that measures them."""
    from hvae_core.zoo import read_preset

    found: dict[str, dict[str, float]] = {}
    for name, figure in read_preset(folder).figures.items():
        if isinstance(figure, Mapping) and "command" in figure:
            found.setdefault(figure["command"], {})[name] = float(figure["value"])
    return found


def measured(
    command: str, folder: Path, roots: Mapping[str, str], further: Sequence[str]
) -> dict[str, Any]:
    """The figures that a command gives, and those of a card rounded as it has them."""
    from hvae_core.zoo import read_preset
    from hvae_core.zoo.publishing import figures_of

    program, verb, name, *options = shlex.split(command)
    if (program, verb, name) != ("hvae", "evaluate", folder.name):
        raise SystemExit(f"{folder.name}: {command!r} is no evaluation of it.")
    data = read_preset(folder).config.data.name
    if "data.root=DIR" in options and data not in roots:
        raise SystemExit(f"Give the folder of {data}: --root {data}=DIR")
    options = [text.replace("data.root=DIR", f"data.root={roots.get(data)}") for text in options]
    options += [word for text in further for word in ("--set", text)]
    done = subprocess.run(
        [sys.executable, "-m", "hvae", "evaluate", name, *options, "--json"],
        cwd=ZOO.parent, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    return found | {key: figure["value"] for key, figure in figures_of(found).items()}


def digits(value: float) -> float:
    """One in the last digit that a card prints of a figure."""
    return 10.0 ** -len(str(value).partition(".")[2])


def compared(
    folder: Path, roots: Mapping[str, str], further: Sequence[str] = (), hours: bool = False
) -> Iterator[tuple[str, float, Any, bool]]:
    """Each figure: its name, as recorded, as measured, and whether they are the same.

    Backends differ by rounding, which may change the last digit by one.
    """
    for command, figures in recorded(folder).items():
        if "--bounds" in command and not hours:
            print(f"{folder.name}: {', '.join(figures)} would take hours: --hours", flush=True)
            continue
        found = measured(command, folder, roots, further)
        for name, value in figures.items():
            again = found.get(name)
            same = again is not None and abs(again - value) < 1.5 * digits(value)
            yield name, value, again, same


def main() -> None:
    """Measure, print, and end with 1 where a card is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("presets", nargs="*", metavar="PRESET")
    parser.add_argument("--root", action="append", default=[], metavar="DATASET=DIR")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="a further option of each evaluation, such as data.near_exact=true",
    )  # fmt: skip
    parser.add_argument("--hours", action="store_true", help="the figures that take hours, too")
    arguments = parser.parse_args()
    roots = dict(text.split("=", 1) for text in arguments.root)
    wrong = 0
    for folder in sorted(path.parent for path in ZOO.glob("*/model.safetensors")):
        if arguments.presets and folder.name not in arguments.presets:
            continue
        for name, value, again, same in compared(folder, roots, arguments.set, arguments.hours):
            print(
                f"{folder.name}: {name} {value}, again {again}{'' if same else '  <-'}", flush=True
            )
            wrong += not same
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
