"""Some kills and full disks of a pull; ``python tests/faults/report.py`` tries all."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import json, tempfile
from pathlib import Path

import hvae_core.zoo.pulling, hvae_core.zoo.pruning
import pulling_faults as faults

figures = [(held, tried, wrong) for _, held, tried, wrong in faults.figures(30)]

# What a server has sent is not asked for again.
with tempfile.TemporaryDirectory() as folder, faults.HostileServer({}) as server:
    pulls = faults.Pulls(Path(folder), False, server)
    pulls.killed(pulls.blocks[-1])
    starts = [start for start in server.starts if start]

# The harness can fail: a preset that is copied to its place, not renamed.
import shutil
from hvae_core.zoo import pulling

pulling.swap_in = lambda finished, target: shutil.copytree(finished, target, dirs_exist_ok=True)
with tempfile.TemporaryDirectory() as folder:
    pulls = faults.Pulls(Path(folder), True)
    broken = next(filter(None, map(pulls.killed, range(pulls.operations, 0, -1))), "")
print(json.dumps([figures, starts, broken]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a POSIX system")
def test_a_killed_pull_and_one_on_a_full_disk_leave_a_whole_preset():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=Path(__file__).parent, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    figures, starts, broken = json.loads(done.stdout.splitlines()[-1])
    assert len(figures) == 8
    assert all(held == tried >= 3 and not wrong for held, tried, wrong in figures), figures
    assert len(starts) == 1
    assert starts[0] > 0
    assert "no whole preset" in broken
