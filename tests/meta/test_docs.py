import importlib.util
from pathlib import Path

from hvae_core.cli.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]


def test_the_options_page_is_what_the_types_say():
    path = ROOT / "docs" / "make_options.py"
    spec = importlib.util.spec_from_file_location("make_options", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert module.page() == expected, "run: python docs/make_options.py"


def test_every_command_is_in_the_readme_or_the_docs():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    for name in COMMANDS:
        assert f"hvae {name}" in text, name


def test_links_between_pages_lead_somewhere():
    import re

    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.name}: {link}"
