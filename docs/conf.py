"""The site: these pages, the notebooks and the API reference. ``tox -e docs`` makes it.

Pages are written for GitHub, in Markdown; what a site needs beside that is done here. Nothing is
executed: the notebooks are shown as they are stored, and importing hvae builds no model.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util import inspect

from hvae_core.backends.selection import select_backend
from hvae_core.cli.main import COMMANDS, cli
from hvae_core.files.versions import hvae_version

ROOT = Path(__file__).resolve().parent.parent

# One of the installed backends is needed, as the layers and densities import Keras; any will do.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
select_backend()

project = "hvae"
author = copyright = "The hvae developers"
version = release = hvae_version()

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_click",
    "sphinx_copybutton",
]
exclude_patterns = ["README.md", "_build", "**.ipynb_checkpoints"]
# -- is an option of the command line, not a dash
smartquotes = False

html_theme = "furo"
html_title = f"hvae {version}"
html_static_path: list[str] = []

# Markdown: links to headings as on GitHub
myst_heading_anchors = 4
myst_links_external_new_tab = False
nb_execution_mode = "off"
nb_merge_streams = True

# Docstrings: Google's style, `name` links to what it names where that is on the site
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"show-inheritance": True}
autodoc_preserve_defaults = True
autodoc_type_aliases = {name: f"~hvae.interfaces.{name}" for name in ("Tensor", "Shape3")}
python_use_unqualified_type_names = True
python_display_short_literal_types = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

copybutton_exclude = ".linenos, .gp, .go"

#: files outside docs/ and the empty pages that show them
_SHOWN = {"README.md": "index", "CONTRIBUTING.md": "contributing", "CHANGELOG.md": "changelog"}
#: where a link leads on the site; the list of pages is its menu
_PLACES = {"docs/README.md": "index.md"} | {name: f"{page}.md" for name, page in _SHOWN.items()}
_LINK = re.compile(
    r"(?<!!)\[([^]]*)\]\(((?!https?:|mailto:)[^)#\s]+)((?:#[^)]*)?)\)"  # [label](target#anchor)
    r"|(!\[[^]]*\]\()([^)]+)\)"  # ![text](image)
)


def _linked(text: str, folder: Path) -> str:
    """The text of a page in ``folder`` with its links as seen from docs/.

    What is no part of the site, a folder or a page of another folder, keeps its name alone.
    """

    def replaced(match: re.Match[str]) -> str:
        label, target, anchor, picture, image = match.groups()
        place = os.path.relpath(folder / (target or image), ROOT)
        seen = Path(os.path.relpath(ROOT / place, ROOT / "docs")).as_posix()
        if picture:
            return f"{picture}{seen})"
        if place in _PLACES:
            seen = _PLACES[place]
        elif seen.startswith("../") and ((ROOT / place).is_dir() or seen.endswith(".md")):
            return label
        return f"[{label}]({seen}{anchor})"

    return _LINK.sub(replaced, text)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a page the text of the file that it stands for, and its links."""
    if not Path(app.srcdir, f"{docname}.md").exists():
        return
    folder = Path(app.srcdir)
    for name, page in _SHOWN.items():
        if page == docname:
            source[0] = (ROOT / name).read_text(encoding="utf-8") + "\n" + source[0]
            app.env.note_dependency(str(ROOT / name))
            folder = ROOT
    source[0] = _linked(source[0], folder)


def _is_foreign(
    app: Sphinx, kind: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Leave out what a class inherits from Keras and its backends."""
    function = getattr(member, "fget", member)
    home = getattr(function, "__module__", None) or ""
    return True if home.partition(".")[0] in ("keras", "torch", "jax", "tensorflow") else None


def _constructor(
    app: Sphinx, kind: str, name: str, member: object, options: object, signature: str, given: str
) -> tuple[str, str] | None:
    """Show the arguments of a Keras class, whose ``__new__`` takes any."""
    if kind != "class" or signature != "(*args, **kwargs)":
        return None
    found = inspect.signature(
        member.__init__, bound_method=True, type_aliases=app.config.autodoc_type_aliases
    )
    return inspect.stringify_signature(
        found, show_return_annotation=False, unqualified_typehints=True
    ), given


def _description(docstring: GoogleDocstring) -> tuple[str, list[str]]:
    """What is said of an attribute: a sentence with a colon, not a type before it."""
    return "", docstring._dedent(docstring._consume_to_end())


def setup(app: Sphinx) -> None:
    """Connect what is done to the pages as they are read."""
    for name in COMMANDS:  # each is called `command` in its module
        cli.get_command(click.Context(cli), name).name = name
    app.connect("source-read", _read)
    GoogleDocstring._consume_inline_attribute = _description
    app.connect("autodoc-skip-member", _is_foreign)
    app.connect("autodoc-process-signature", _constructor)
