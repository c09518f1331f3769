import subprocess
import sys

import pytest

from hvae_core.interfaces import Dataset
from hvae_core.plugins import manager

NAMES = ["digits", "mnist", "cifar10", "imagenet32", "imagenet64", "parquet", "image-folder"]


@pytest.mark.parametrize("name", NAMES)
def test_every_data_set_is_registered_and_described(name):
    spec = manager().get("dataset", name)
    assert (spec.kind, spec.name) == ("dataset", name)
    assert spec.summary
    for key, field in spec.config.model_fields.items():
        assert field.description, f"{name}: option {key} has no description"
    needs_root = spec.config.model_fields.get("root")
    if needs_root is None or not needs_root.is_required():
        dataset = spec.build(spec.config())
        assert isinstance(dataset, Dataset)
        assert {"train", "test"} <= set(dataset.splits)
        assert dataset.info.version
        assert dataset.info.licence
        assert set(dataset.info.sizes) == set(dataset.splits)


def test_no_data_set_imports_keras_or_touches_the_cache(tmp_path):
    code = (
        "import sys, hvae_core.data\n"
        "from hvae_core.plugins import manager\n"
        f"for name in {NAMES!r}: manager().get('dataset', name)\n"
        "bad = {'keras', 'jax', 'tensorflow', 'torch', 'sklearn', 'pyarrow'} & set(sys.modules)\n"
        "sys.exit(str(bad) if bad else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "home").exists()
