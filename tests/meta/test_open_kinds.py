"""Whatever a plugin may be or do has a caller in the product, a page, and a third party's test."""

import re
from pathlib import Path

import pytest

from hvae_core.plugins.hookspecs import Hooks
from hvae_core.plugins.specs import KINDS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
HOOKS = [name for name in vars(Hooks) if name.startswith("hvae_")]


def text_of(folder, pattern="*.py"):
    paths = sorted((ROOT / folder).rglob(pattern))
    return "\n".join(path.read_text(encoding="utf-8") for path in paths)


PRODUCT = text_of("hvae_core")
#: what a third party writes: packages and plugins made in tests, and the examples
FOREIGN = "\n".join(
    [text_of("tests/unit/core"), text_of("tests/cli"), text_of("examples", "pyproject.toml")]
)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_a_caller_in_the_product(kind):
    calls = rf"\b(component_field|create_component|names|entries|get|find)\(\s*\"{kind}\""
    listed = rf"for kind in \([^)]*\"{kind}\"|component_field\(kind[^)]*\).*?\"{kind}\""
    assert re.search(calls, PRODUCT) or re.search(listed, PRODUCT, re.DOTALL)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_on_the_page(kind):
    assert re.search(rf"^\| {kind} \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_a_third_party_provides_one_in_a_test(kind):
    assert re.search(rf"kind=\"{kind}\"|\"{kind}\.[\w-]+\" = ", FOREIGN)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_is_called_told_of_and_implemented_by_a_third_party(hook):
    assert re.search(rf"(?<!def ){hook}\b(?!\(self)", PRODUCT.replace(f"def {hook}", ""))
    assert hook in PAGE
    assert f"def {hook}" in FOREIGN
