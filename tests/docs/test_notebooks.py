"""The notebooks run and print what is stored in them, which names no machine."""

import importlib.util
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def load_maker():
    path = ROOT / "docs" / "make_notebooks.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_prints_what_is_stored(path, tmp_path):
    maker = load_maker()
    made = maker.executed(path, tmp_path)
    stored = nbformat.read(path, as_version=4)
    assert maker.printed(made) == maker.printed(stored), (
        f"run: python docs/make_notebooks.py {path.stem}"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean_and_with_its_pictures(path):
    text = path.read_text(encoding="utf-8")
    stored = nbformat.reads(text, as_version=4)
    outputs = [out for cell in stored.cells for out in cell.get("outputs", ())]
    assert any("image/png" in out.get("data", {}) for out in outputs)
    assert all(out.get("name") != "stderr" and not out.get("execution_count") for out in outputs)
    assert not any(cell.metadata or cell.get("execution_count") for cell in stored.cells)
    again = load_maker().cleaned(nbformat.reads(text, as_version=4))
    assert dict(stored.metadata) == dict(again.metadata)
    assert str(ROOT) not in text
    assert str(Path.home()) not in text
