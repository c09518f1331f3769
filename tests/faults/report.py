"""Try all faults at length and print the figures of docs/reliability.md as a table.

Every ``*_faults.py`` beside this file is a program that prints lines ``WHAT: HELD of TRIED held``
and fails if one was not held. Training is tried on each backend that is installed. It takes about
half an hour of a processor; ``--share 0.1`` tries about a tenth of the faults, evenly chosen.

    python tests/faults/report.py
"""

from __future__ import annotations

import argparse
import importlib.util
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: kills of training and full disks; compiling makes a run on JAX take much longer
TRAINING = {"torch": (200, 60), "jax": (20, 6)}
_LINE = re.compile(r"(?P<what>.+): (?P<held>\d+) of (?P<tried>\d+) held")


def commands(share: float = 1.0) -> Iterator[tuple[dict[str, str], list[str]]]:
    """What is run: the environment's additions, and the arguments.

    Args:
        share: of the faults that there are; what misbehaves in ways with names is tried in all.
    """
    for program in sorted(HERE.glob("*_faults.py")):
        if program.name == "training_faults.py":
            for backend, counts in TRAINING.items():
                if importlib.util.find_spec(backend) is not None:
                    kills, disks = (str(math.ceil(share * count)) for count in counts)
                    options = ["--kills", kills, "--full-disks", disks]
                    yield {"KERAS_BACKEND": backend}, [str(program), *options]
        elif program.name == "pulling_faults.py":
            yield {}, [str(program), "--every", str(round(1 / share))]
        elif not program.name.startswith("test_"):
            yield {}, [str(program)]


def rows(text: str) -> list[tuple[str, int, int]]:
    """What was tried, held and tried, of a program's lines."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [(m["what"], int(m["held"]), int(m["tried"])) for m in found if m]


def main() -> int:
    """Print the table; 1 if a fault was not held."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the faults, up to 1")
    share = parser.parse_args().share
    if not 0 < share <= 1:
        parser.error("--share must be above 0 and at most 1")
    print("| fault | held | tried |\n|-|-|-|", flush=True)
    failed = False
    for more, arguments in commands(share):
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**os.environ, **more},
            stdout=subprocess.PIPE,
            text=True,
        )
        for what, held, tried in rows(done.stdout):
            print(f"| {what} | {held} | {tried} |", flush=True)
        if done.returncode:
            failed = True
            print(done.stdout, file=sys.stderr)
    profile = "long" if share == 1 else "brief"
    fuzz = [sys.executable, "-m", "pytest", "-q", "--hypothesis-profile", profile]
    files = map(str, sorted(HERE.glob("test_fuzz*.py")))
    done = subprocess.run([*fuzz, *files], stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1])
    passed, lost = (re.search(rf"(\d+) {word}", done.stdout) for word in ("passed", "failed"))
    held = int(passed[1]) if passed else 0
    print(f"| properties that hypothesis tries to break ({profile}) | {held} |"
          f" {held + (int(lost[1]) if lost else 0)} |")  # fmt: skip
    if done.returncode:
        failed = True
        print(done.stdout, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
