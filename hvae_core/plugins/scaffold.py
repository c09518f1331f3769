"""A new third-party flow package: what ``hvae plugins new`` writes."""

from __future__ import annotations

import re
import string
from importlib import resources
from pathlib import Path

from hvae_core.errors import BadInputError
from hvae_core.files.replacing import disk_errors, replacing_folder
from hvae_core.plugins.manager import manager

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: file of the template: where it goes
FILES = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "__init__.py.txt": "$module/__init__.py",
    "flow.py.txt": "$module/flow.py",
    "test.py.txt": "tests/test_$identifier.py",
}


def new_package(name: str, parent: Path) -> Path:
    """Write a complete package with a posterior flow that passes its tests as written.

    Args:
        name: the flow's name, such as ``radial``.
        parent: the folder in which ``hvae-<name>-flow`` is made.

    Returns:
        The package's folder.

    Raises:
        BadInputError: the name is malformed or taken, or the folder exists.
        HvaeError: it cannot be written; nothing is left behind.
    """
    if not NAME.fullmatch(name):
        raise BadInputError(
            f"{name!r} cannot name a flow; expected lower-case letters, digits and single dashes.",
            "Choose a name such as radial or neural-spline.",
        )
    if name in manager().names("flow"):
        owner = manager().find("flow", name).distribution
        raise BadInputError(f"The flow {name!r} exists: {owner} has it.", "Choose another name.")
    identifier = name.replace("-", "_")
    words = {
        "name": name,
        "identifier": identifier,
        "distribution": f"hvae-{name}-flow",
        "module": f"hvae_{identifier}_flow",
        "class_": "".join(part.capitalize() for part in name.split("-")),
    }
    target = parent / words["distribution"]
    if target.exists():
        raise BadInputError(f"{target} exists already.", "Choose another name or folder.")
    template = resources.files("hvae_core.plugins") / "template"
    with (
        disk_errors(f"write {target}", "Choose another folder."),
        replacing_folder(target) as work,
    ):
        for source, place in FILES.items():
            path = work / fill(place, words)
            path.parent.mkdir(parents=True, exist_ok=True)
            text = (template / source).read_text(encoding="utf-8")
            path.write_text(fill(text, words), encoding="utf-8")
    return target


def fill(text: str, words: dict[str, str]) -> str:
    """``text`` with its ``$words`` replaced; ``$class_`` ends at its underscore."""
    return string.Template(text.replace("$class_", "${class_}")).substitute(words)
