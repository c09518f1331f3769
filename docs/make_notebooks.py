"""Run the notebooks and store what they show: ``python docs/make_notebooks.py [NAME]...``.

Needs hvae[datasets,plot,notebooks] and a backend. Stored is what any machine would show: no
times, no paths, no warnings, no version of the kernel or of Matplotlib.
"""

from __future__ import annotations

import argparse
import base64
import io
import tempfile
from pathlib import Path

import nbclient
import nbformat
from PIL import Image

FOLDER = Path(__file__).resolve().parent / "notebooks"
SECONDS = 300
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def executed(path: Path, folder: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, run in ``folder`` by a kernel of this Python.

    Raises:
        CellExecutionError: a cell fails; the message has its code and traceback.
    """
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(notebook, timeout=SECONDS, resources=where).execute()
    return cleaned(notebook)


def cleaned(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The same notebook without what differs from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    )
    for number, cell in enumerate(notebook.cells):
        cell.metadata, cell.id = nbformat.from_dict({}), f"cell-{number}"
        if cell.cell_type == "code":
            cell.execution_count = None
            cell.outputs = [_cleaned_output(each) for each in cell.outputs if _is_kept(each)]
    return notebook


def printed(notebook: nbformat.NotebookNode) -> list[str]:
    """What each cell of code prints or gives as text, its pictures left out."""
    return [
        "".join(
            output.get("text", "") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
            if "image/png" not in output.get("data", {})
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def _is_kept(output: nbformat.NotebookNode) -> bool:
    """Whether it is a result: progress comes on stderr, or is displayed as text."""
    if output.output_type == "display_data":
        return "image/png" in output.data
    return output.get("name") != "stderr"


def _cleaned_output(output: nbformat.NotebookNode) -> nbformat.NotebookNode:
    if "execution_count" in output:
        output.execution_count = None
    if "metadata" in output:
        output.metadata = nbformat.from_dict({})
    if "image/png" in output.get("data", {}):
        picture = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"])))
        out = io.BytesIO()
        picture.convert("RGB").quantize(64).save(out, "PNG", optimize=True)
        output.data = nbformat.from_dict({"image/png": base64.b64encode(out.getvalue()).decode()})
    return output


def main(names: list[str]) -> None:
    """Run and store the notebooks of these names, or all."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(executed(path, Path(folder)), path)
        print(path)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    main(parser.parse_args().names)
