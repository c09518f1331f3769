"""hvae beside packages of the field: one environment, one process, the same numbers."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: what is imported before hvae, as a user's script may
NEIGHBOURS = ("zea", "careamics")
#: with each backend that is installed: zea takes what Keras has, careamics has PyTorch of its own
BACKENDS = [name for name in ("jax", "torch", "tensorflow") if importlib.util.find_spec(name)]
SCRIPT = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
import hvae, keras
model = hvae.load("digits-vdvae")
images = model.sample(4, temperature=0.8, seed=1)
out = model.elbo(images, seed=1)
print(json.dumps({
    "backend": keras.backend.backend(),
    "images": images.tolist(),
    "elbo": out.elbo.tolist(),
    "kl_per_layer": out.kl_per_layer.tolist(),
}))
"""


def run(backend, *neighbours):
    """What the script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT, *neighbours],
        env={**os.environ, "KERAS_BACKEND": backend},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_its_numbers_are_the_same_with_others_imported(backend):
    missing = [name for name in NEIGHBOURS if not importlib.util.find_spec(name)]
    if missing and not os.environ.get("HVAE_TEST_BESIDE"):
        pytest.skip(f"not installed: {', '.join(missing)}; tox -e beside installs them")
    assert not missing
    together, alone = run(backend, *NEIGHBOURS), run(backend)
    assert together == alone
    assert together["backend"] == backend
