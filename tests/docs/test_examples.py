"""The examples of the README and of docs/ are run, each page in a folder of its own.

Blocks marked ``sh`` and ``python`` are run in order; a failure names page and line. Comments before
a block, which a reader does not see, say what is different here::

    <!-- not run: REASON -->            the block is left out
    <!-- run: OLD => NEW; OLD => NEW --> replaced texts; see the names in braces below
    <!-- first: COMMAND -->             what has to be there
    <!-- fails: CODE -->                the exit code it ends with
    <!-- file: NAME -->                 a block of any kind, saved for those that follow
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import os
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hvae_core.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "examples").glob("*/README.md")),
]
#: packages that a page's examples need; it is run where they are: pages for the backend
#: OpenVINO; the others are for any and are run once
NEEDS = {"export.md": ("openvino", "nncf")}
#: a model of any scales that trains in a moment
TINY = " ".join(
    f"--set {option}"
    for option in (
        "model.width=4", "model.latent_width=2", "model.encoder_blocks=1", "model.decoder_blocks=1",
        "likelihood.mixtures=1", "train.batch_size=2",
    )
)  # fmt: skip
SHORT = " --set ".join(
    (
        "train.epochs=null",
        "train.steps=2",
        "train.sample_epochs=0",
        "train.validation_images=8",
        "train.report=false",
    )
)
COMMENT = r"<!-- (?P<key>not run|run|first|fails|file): (?P<text>.*?) -->\n"
BLOCK = re.compile(rf"(?P<comments>(?:{COMMENT})*)```(?P<kind>\w+)\n(?P<code>.*?)\n```", re.DOTALL)


@dataclasses.dataclass
class Example:
    """One block of a page and what its comments say."""

    where: str
    kind: str
    code: str
    comments: list[tuple[str, str]]

    def said(self, key: str) -> list[str]:
        return [text for name, text in self.comments if name == key]

    def prepared(self, known: dict[str, str]) -> str:
        """The code with its texts replaced; each of them must be there."""
        code = self.code
        for pair in "; ".join(self.said("run")).split("; "):
            if pair:
                old, _, new = pair.partition(" =>")
                assert old in code, f"{self.where}: {old!r} is not in the example"
                code = code.replace(old, new.strip())
        return with_known(code, known)


def with_known(text: str, known: dict[str, str]) -> str:
    for name, value in known.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def examples(page: Path) -> list[Example]:
    text = page.read_text(encoding="utf-8")
    return [
        Example(
            f"{page.relative_to(ROOT)}:{text.count(chr(10), 0, match.start('code')) + 1}",
            match["kind"],
            match["code"],
            re.findall(COMMENT, match["comments"]),
        )
        for match in BLOCK.finditer(text)
    ]


def run_shell(code: str, expected: int, where: str) -> None:
    """Run lines of ``hvae`` and ``python`` in this process; Keras is imported once."""
    lines = code.replace("\\\n", " ").splitlines()
    for command in (part for line in lines for part in line.split("&&")):
        words = shlex.split(command, comments=True)
        if not words:
            continue
        target = os.devnull
        if ">" in words:
            words, target = words[: words.index(">")], words[words.index(">") + 1]
        with (
            open(target, "a" if target == os.devnull else "w") as file,
            contextlib.redirect_stdout(file),
        ):
            status = run_words(words, where)
        assert status == expected, f"{where}: {command.strip()} ended with {status}"


def run_words(words: list[str], where: str) -> int:
    if "--backend" in words:  # Keras has its backend in this process
        return subprocess.run([sys.executable, "-m", "hvae_core.cli.main", *words[1:]]).returncode
    try:
        if words[0] == "hvae":
            main(words[1:])
        elif words[0] == "python":
            sys.argv = words[1:]
            runpy.run_path(str(ROOT / words[1]), run_name="__main__")
        else:
            pytest.fail(f"{where}: {words[0]!r} cannot be run here; say why: <!-- not run: ... -->")
    except SystemExit as left:
        return int(left.code or 0)
    return 0


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.every_backend if page.name in NEEDS else ())
        for page in PAGES
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_examples_of_a_page(
    page: Path, tmp_path: Path, fixtures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if page.name in NEEDS and os.environ.get("KERAS_BACKEND") != "openvino":
        pytest.skip("its examples are run with the backend OpenVINO")
    for package in ("sklearn", *NEEDS.get(page.name, ())):
        # found, not imported: nncf is for a process of its own
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HVAE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    monkeypatch.setattr(sys, "argv", sys.argv)
    (tmp_path / "photos").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "photos" / f"{index}.png")
    known = {
        "fixtures": str(fixtures_folder),
        "folder": str(tmp_path),
        "tiny": TINY,
        "short": SHORT,
    }
    names: dict[str, Any] = {}
    for example in examples(page):
        for name in example.said("file"):
            (tmp_path / name).write_text(example.code)
        if example.said("not run") or example.kind not in ("sh", "python"):
            continue
        for command in example.said("first"):
            run_shell(with_known(command, known), 0, example.where)
        code = example.prepared(known)
        if example.kind == "python":
            exec(compile(code, example.where, "exec"), names)
        else:
            run_shell(code, int("".join(example.said("fails")) or 0), example.where)


def test_every_comment_is_understood() -> None:
    """A misspelt one would be passed over, and every reason is given."""
    for page in PAGES:
        for line in re.findall(r"^<!--.*$", page.read_text(encoding="utf-8"), re.MULTILINE):
            if "see conf.py" in line:  # of the site's own pages
                continue
            assert re.fullmatch(COMMENT.removesuffix(r"\n"), line), f"{page.name}: {line}"
