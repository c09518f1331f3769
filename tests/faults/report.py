"""Try all faults at length and print the figures of docs/reliability.md as a table.

Every ``*_faults.py`` beside this file is a program that prints lines ``WHAT: HELD of TRIED held``
and fails if one was not held. Training is tried on each backend that is installed. It takes about
half an hour.

    python tests/faults/report.py
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
#: kills of training and full disks; compiling makes a run on JAX take much longer
TRAINING = {"torch": ("200", "60"), "jax": ("20", "6")}
_LINE = re.compile(r"(?P<what>.+): (?P<held>\d+) of (?P<tried>\d+) held")


def commands() -> Iterator[tuple[dict[str, str], list[str]]]:
    """What is run: the environment's additions, and the arguments."""
    for program in sorted(HERE.glob("*_faults.py")):
        if program.name == "training_faults.py":
            for backend, (kills, disks) in TRAINING.items():
                if importlib.util.find_spec(backend) is not None:
                    options = ["--kills", kills, "--full-disks", disks]
                    yield {"KERAS_BACKEND": backend}, [str(program), *options]
        elif not program.name.startswith("test_"):
            yield {}, [str(program)]


def rows(text: str) -> list[tuple[str, int, int]]:
    """What was tried, held and tried, of a program's lines."""
    found = (_LINE.fullmatch(line) for line in text.splitlines())
    return [(m["what"], int(m["held"]), int(m["tried"])) for m in found if m]


def main() -> int:
    """Print the table; 1 if a fault was not held."""
    print("| fault | held | tried |\n|-|-|-|", flush=True)
    failed = False
    for more, arguments in commands():
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
    fuzz = [sys.executable, "-m", "pytest", "-q", "--hypothesis-profile", "long"]
    done = subprocess.run(
        [*fuzz, str(HERE / "test_fuzz.py")], stdout=subprocess.PIPE, text=True, cwd=HERE.parents[1]
    )
    passed, lost = (re.search(rf"(\d+) {word}", done.stdout) for word in ("passed", "failed"))
    held = int(passed[1]) if passed else 0
    print(f"| properties that mutated files and overrides must keep | {held} |"
          f" {held + (int(lost[1]) if lost else 0)} |")  # fmt: skip
    if done.returncode:
        failed = True
        print(done.stdout, file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
