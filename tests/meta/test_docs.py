import importlib.util
import itertools
import re
from pathlib import Path

import pytest

from hvae_core.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", ["options", "gallery"])
def test_the_page_is_what_its_command_makes(name):
    path = ROOT / "docs" / f"make_{name}.py"
    spec = importlib.util.spec_from_file_location(f"make_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    assert module.page() == expected, f"run: python docs/make_{name}.py"


def test_every_command_is_in_the_readme_or_the_docs():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for name in COMMANDS:
        assert f"hvae {name}" in text, name


def test_links_between_pages_lead_somewhere():
    import re

    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_every_page_is_in_the_list_of_pages_and_in_the_menu_of_the_site():
    docs = ROOT / "docs"
    listed = (docs / "README.md").read_text(encoding="utf-8")
    menu = (docs / "index.md").read_text(encoding="utf-8").splitlines()
    own = {"README", "index", "contributing", "changelog"}
    for page in [*docs.glob("*.md"), *docs.glob("notebooks/*.ipynb")]:
        if page.stem not in own:
            name = page.relative_to(docs).as_posix()
            assert f"]({name})" in listed, f"docs/README.md does not list {name}"
            assert name.rpartition(".")[0] in menu, f"docs/index.md does not list {name}"


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_headings_go_down_one_level_at_a_time(page):
    """The site's build refuses a page where they do not."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, flags=re.M)]
    assert all(after <= before + 1 for before, after in itertools.pairwise([0, *levels]))
