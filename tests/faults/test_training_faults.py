"""Some kills and full disks; ``python tests/faults/report.py`` tries hundreds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from training_faults import difference, places

pytest.importorskip("sklearn")

SCRIPT = """
import json, sys, tempfile
from pathlib import Path

import training_faults as faults

faults.import_all()
faults.CONFIG["train"]["steps"] = 3
figures = [(held, tried, wrong) for _, held, tried, wrong in faults.figures(8, 2)]

# The harness can fail: a run folder that is not resumed unless its config.yaml is there.
from hvae_core.runs import run_folder

run_folder._is_of_a_start = lambda entry: entry.name == ".lock"
with tempfile.TemporaryDirectory() as folder:
    print(json.dumps([figures, faults.Trainings(Path(folder)).killed(15)]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")
def test_a_killed_run_and_one_on_a_full_disk_go_on_to_the_same_bytes():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures, broken = json.loads(done.stdout.splitlines()[-1])
    assert figures == [[8, 8, []], [2, 2, []], [2, 2, []], [1, 1, []]]
    assert "not empty" in broken


def test_places_and_differences():
    for count, total in ((12, 498), (7, 7), (9, 4), (1, 10), (0, 5)):
        chosen = places(count, total)
        assert chosen == sorted(set(chosen))
        assert len(chosen) == min(count, total)
        assert set(chosen) <= set(range(1, total + 1))
    assert difference({"a": 1, "b": 2}, {"b": 3, "c": 4}) == "a, b, c"
    assert difference({"a": 1}, {"a": 1}) == ""
