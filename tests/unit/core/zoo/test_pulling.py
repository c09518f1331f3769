from __future__ import annotations

import functools
import http.server
import itertools
import shlex
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from hvae_core.errors import DownloadError, PresetError
from hvae_core.zoo import find_preset, list_presets, pull, pulling, verify


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server with the preset folder "remote"."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    shutil.copytree(zoo / "trained", tmp_path / "site" / "remote")
    edit(tmp_path / "site" / "remote", lambda info: info.pop("name"))
    handler = functools.partial(Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def edit(folder: Path, change: Any) -> None:
    path = folder / "preset.yaml"
    info = yaml.safe_load(path.read_text())
    change(info)
    path.write_text(yaml.safe_dump(info))


def without_weights(zoo: Path, source: str) -> None:
    """Make the installed preset "trained" one whose weights are elsewhere."""
    (zoo / "trained" / "model.safetensors").unlink()
    edit(zoo / "trained", lambda info: info["weights"].update(sources=[source]))


def follow(hint: str) -> None:
    """Call what a hint says."""
    command = shlex.split(hint.removeprefix("Pull them with: "))
    assert (command[:3], command[4:]) == (["hvae", "zoo", "pull"], ["--force"])
    assert pull(command[3], force=True).status == "pulled"


def test_installed_weights_are_here_already(zoo: Path) -> None:
    assert pull("trained").status == "already here"


def test_damaged_installed_weights(zoo: Path) -> None:
    (zoo / "trained" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(PresetError, match=r"damaged.*has 1 bytes"):
        pull("trained")


def test_no_weights_anywhere(zoo: Path) -> None:
    with pytest.raises(
        PresetError, match=r"no trained weights exist yet. Train it with: hvae train untrained\.$"
    ):
        pull("untrained")


def test_no_weights_of_the_original_s_architecture(home: Path) -> None:
    with pytest.raises(PresetError, match="no trained weights exist yet") as caught:
        pull("openai-cifar10")
    assert "hvae train openai-cifar10" in caught.value.hint
    assert "hvae import openai-vdvae CHECKPOINT -o ./openai-cifar10" in caught.value.hint


def test_a_named_preset_is_pulled_from_its_sources(site: str, zoo: Path, home: Path) -> None:
    without_weights(zoo, f"{site}/remote/model.safetensors")
    assert find_preset("trained").weights_path is None
    seen: list[tuple[str, int, int | None]] = []
    result = pull("trained", progress=lambda *told: seen.append(told))
    assert result.status == "pulled"
    assert seen[-1] == ("model.safetensors", result.size, result.size)
    found = find_preset("trained")
    assert found.weights_path == home / "presets" / "trained" / "model.safetensors"
    assert not any("lock" in p.name or "part" in p.name for p in found.folder.iterdir())
    assert pull("trained").status == "already here"
    assert pull("trained", force=True).status == "pulled"
    assert list_presets() == ["trained", "untrained"]


def test_pulled_weights_of_an_older_version_are_not_used(site: str, zoo: Path) -> None:
    without_weights(zoo, f"{site}/remote/model.safetensors")
    pull("trained")
    edit(zoo / "trained", lambda info: info["weights"].update(sha256="0" * 64))
    assert find_preset("trained").weights_path is None


def test_the_next_source_is_tried(site: str, zoo: Path) -> None:
    without_weights(zoo, f"{site}/none/model.safetensors")
    good = f"{site}/remote/model.safetensors"
    edit(zoo / "trained", lambda info: info["weights"]["sources"].append(good))
    assert pull("trained").status == "pulled"


def test_a_folder_on_a_server(site: str, home: Path) -> None:
    result = pull(f"{site}/remote/")
    assert (result.name, result.status) == ("remote", "pulled")
    assert find_preset("remote").origin == "pulled"
    assert (home / "presets" / "remote" / "README.md").is_file()
    assert pull(f"{site}/remote").status == "already here"
    assert pull("remote").status == "already here"
    assert pull("remote", force=True).status == "pulled"


def test_names_are_not_taken_from_others(site: str, zoo: Path, tmp_path: Path) -> None:
    shutil.copytree(tmp_path / "site" / "remote", tmp_path / "site" / "trained")
    with pytest.raises(PresetError, match="an installed preset is already named 'trained'"):
        pull(f"{site}/trained")
    pull(f"{site}/remote")
    shutil.copytree(tmp_path / "site" / "remote", tmp_path / "site" / "b" / "remote")
    with pytest.raises(PresetError, match=f"already pulled from {site}/remote"):
        pull(f"{site}/b/remote")
    assert pull(f"{site}/b/remote", force=True).status == "pulled"


def test_weights_that_the_package_is_without(zoo: Path, tmp_path: Path, home: Path) -> None:
    clone = tmp_path / "clone" / "zoo" / "trained"
    shutil.copytree(zoo / "trained", clone)
    (zoo / "trained" / "model.safetensors").unlink()
    with pytest.raises(PresetError, match="its weights are not in the package") as caught:
        pull("trained")
    assert "hvae zoo pull CLONE/zoo/trained" in caught.value.hint
    # Its weights alone are taken: the configuration stays that of the package.
    edit(clone, lambda info: info.update(summary="another"))
    assert pull(clone).status == "pulled"
    found = find_preset("trained")
    assert found.weights_path == home / "presets" / "trained" / "model.safetensors"
    assert found.summary != "another"
    assert pull(clone).status == pull("trained").status == "already here"


def test_other_weights_do_not_pass_for_those_of_the_package(zoo: Path, tmp_path: Path) -> None:
    clone = tmp_path / "trained"
    shutil.copytree(zoo / "trained", clone)
    (zoo / "trained" / "model.safetensors").unlink()
    path = clone / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DownloadError, match="sha256"):
        pull(clone)
    assert find_preset("trained").weights_path is None


def test_a_local_folder(zoo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(zoo / "trained", folder)
    edit(folder, lambda info: info.pop("name"))
    assert pull(folder).name == "mine"
    shutil.rmtree(folder)
    assert find_preset("mine").weights_path is not None


def test_offline(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    for address in (f"{site}/remote", "hf://owner/name"):
        with pytest.raises(DownloadError, match="HVAE_OFFLINE=1"):
            pull(address)


def test_offline_what_is_here_is_here(
    site: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(f"{site}/remote")
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    assert pull(f"{site}/remote").status == "already here"
    with pytest.raises(DownloadError, match="HVAE_OFFLINE=1"):
        pull(f"{site}/remote", force=True)


def test_a_commit_that_is_here_is_not_asked_for(
    site: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"hf://owner/name@{'c0ffee00' * 5}"
    pull(f"{site}/remote")
    folder = home / "presets" / f"hf--owner--name@{'c0ffee00' * 5}"
    (home / "presets" / "remote").rename(folder)
    (folder / "origin.json").write_text(f'{{"source": "{address}"}}')
    shutil.rmtree(home / "presets" / ".pulling")
    # Nothing is written, so the cache may be one that cannot be.
    monkeypatch.setattr(pulling, "workplace", lambda *_: pytest.fail("it was about to write"))
    assert pull(address).status == "already here"
    monkeypatch.setenv("HVAE_OFFLINE", "1")
    assert pull(address).status == "already here"


def test_what_is_here_in_a_cache_that_cannot_be_written(
    site: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull(f"{site}/remote")
    monkeypatch.setattr(pulling.os, "access", lambda *_: False)
    monkeypatch.setattr(pulling, "workplace", lambda *_: pytest.fail("it was about to write"))
    assert pull(f"{site}/remote").status == "already here"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        *itertools.product(("remote", "folder", "other-name", "uri"), ("damaged", "missing")),
        # Of an installed preset, what is missing is as before the first pull.
        *itertools.product(("installed", "clone"), ("damaged",)),
    ],
)
def test_what_is_damaged_is_mended_by_what_verify_says(
    source: str, fault: str, site: str, zoo: Path, home: Path, tmp_path: Path
) -> None:
    """Wherever it came from; of an installed preset the weights alone."""
    name, folder = "mine", tmp_path / ("mine" if source in ("folder", "uri") else "a clone")
    shutil.copytree(zoo / "trained", folder)
    edit(folder, lambda info: info.update(name="trained" if source == "clone" else "mine"))
    if source == "remote":
        pull(f"{site}/remote")
        name = "remote"
    elif source == "uri":
        pull(folder.as_uri())
    elif source == "installed":
        without_weights(zoo, f"{site}/remote/model.safetensors")
        name = pull("trained").name
    else:
        (zoo / "trained" / "model.safetensors").unlink()
        name = pull(folder).name
    weights = home / "presets" / name / "model.safetensors"
    before = weights.read_bytes()
    if fault == "damaged":
        weights.write_bytes(before[:-1] + b"x")
    else:
        weights.unlink()
    with pytest.raises(PresetError) as caught:
        verify(name)
    follow(caught.value.hint)
    assert verify(name).recorded
    assert weights.read_bytes() == before


def test_a_place_that_is_known_no_more(site: str, home: Path) -> None:
    pull(f"{site}/remote")
    folder = home / "presets" / "remote"
    (folder / "origin.json").write_text("{")
    (folder / "model.safetensors").write_bytes(b"x")
    with pytest.raises(PresetError) as caught:
        verify("remote")
    assert caught.value.hint == "Pull them with: hvae zoo pull ADDRESS --force"
