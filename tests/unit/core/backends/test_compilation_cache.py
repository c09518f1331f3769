"""Compiled programs kept on disk."""

import os
import subprocess
import sys

import keras
import pytest

from hvae_core.backends.compilation_cache import cpu_name

PROGRAM = """
import jax
from hvae_core.backends import compilation_cache
compilation_cache.LEAST_SECONDS = 0.0
compilation_cache.MOST_BYTES = MOST
compilation_cache.keep_compiled_programs()
print(jax.config.jax_compilation_cache_dir)
jax.jit(lambda x: x * FACTOR + 1)(jax.numpy.arange(3.0)).block_until_ready()
"""
pytestmark = [
    pytest.mark.every_backend,
    pytest.mark.skipif(keras.config.backend() != "jax", reason="only JAX has this cache"),
]


def run(home, most=1 << 30, factor=2, **variables):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("JAX_")}
    environment |= {"HVAE_HOME": str(home), **variables}
    program = PROGRAM.replace("= MOST", f"= {most}").replace("FACTOR", str(factor))
    command = [sys.executable, "-c", program]
    return subprocess.check_output(command, env=environment, text=True).strip()


def test_programs_are_kept_in_the_cache_folder_under_the_cpu_s_name(tmp_path):
    folder = tmp_path / "compiled" / cpu_name()
    assert run(tmp_path) == str(folder)
    assert any(folder.glob("*-cache"))


def test_the_oldest_programs_make_room(tmp_path):
    folder = tmp_path / "compiled" / cpu_name()
    run(tmp_path, factor=2)
    (first,) = (path for path in folder.glob("*-cache") if "lambda" in path.name)
    most = sum(path.stat().st_size for path in folder.glob("*-cache"))
    run(tmp_path, most=most, factor=3)
    kept = list(folder.glob("*-cache"))
    assert first not in kept
    assert 0 < sum(path.stat().st_size for path in kept) <= most


def test_it_can_be_turned_off_and_the_user_s_own_choice_stands(tmp_path):
    assert run(tmp_path, HVAE_COMPILATION_CACHE="0") == "None"
    other = str(tmp_path / "mine")
    assert run(tmp_path, JAX_COMPILATION_CACHE_DIR=other) == other
    assert not (tmp_path / "compiled").exists()
