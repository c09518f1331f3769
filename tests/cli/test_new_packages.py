"""What ``hvae plugins new`` writes: a package of each kind, which passes its own tests."""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from hvae_core.cli.main import main
from hvae_core.errors import BadInputError
from hvae_core.plugins.scaffold import new_package
from hvae_core.plugins.specs import KINDS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packages")
    return {kind: new_package(f"fresh-{kind}s", folder, kind) for kind in KINDS}


def test_every_kind_passes_its_own_tests(packages, tmp_path):
    """In one process, each package on the path as pip would have put it."""
    path = os.pathsep.join(map(str, packages.values()))
    tests = [next((folder / "tests").iterdir()) for folder in packages.values()]
    arguments = ("-q", "-p", "no:cacheprovider", "-W", "ignore", "-c", os.devnull)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, "--rootdir", tmp_path, *tests],
        env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr
    assert "passed" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_is_complete(packages, kind):
    folder = packages[kind]
    assert folder.name == f"hvae-fresh-{kind}s-{kind}"
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    (points,) = project["project"]["entry-points"].values()
    assert points == {f"{kind}.fresh-{kind}s": folder.name.replace("-", "_")}
    assert project["project"]["optional-dependencies"] == {"test": ["hvae[test]"]}
    readme = (folder / "README.md").read_text()
    assert f"{kind}.fresh-{kind}s" in readme
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert not re.search(r"\$[a-z_]", path.read_text()), path
    if kind == "preset":
        assert (folder / points[f"{kind}.fresh-{kind}s"] / "presets").is_dir()


def test_the_page_s_commands_are_those_of_the_package(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    block = re.search(r"```sh\n(hvae plugins new .*?)```", page, re.DOTALL).group(1)
    new, install, check, train = (shlex.split(line, comments=True) for line in block.splitlines())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as left:
        main(new[1:])
    assert left.value.code == 0
    told = capsys.readouterr().out
    assert shlex.join(install) in told
    assert shlex.join(check) in told
    folder, _, extra = install[-1].partition("[")
    project = tomllib.loads(Path(folder, "pyproject.toml").read_text())["project"]
    assert extra.rstrip("]") in project["optional-dependencies"]
    assert check[-1] in project["entry-points"]["hvae"]
    assert "model.flow.name=my-flow" in train


def test_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"no kind 'flwo'. Did you mean 'flow'"):
        new_package("mine", tmp_path, "flwo")
