"""Every way in which a server misbehaves, once; the program beside prints the figure."""

from pathlib import Path

import pytest
from hostile_server import WAYS, Way
from server_faults import fault_of


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.name}-{way.on}")
def test_a_server_that_misbehaves(way: Way, tmp_path: Path) -> None:
    assert fault_of(way, tmp_path) == ""
