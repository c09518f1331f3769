"""Bringing a preset's weights to this machine: the only part of hvae that loads from a network.

Everything is collected in ``<cache>/presets/.pulling/<name>``, where an interrupted pull goes on
later, and takes its place by one rename when the weights have the recorded sha256.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hvae_core.errors import DownloadError, HvaeError, PresetError, WeightsError
from hvae_core.weights.header import read_header
from hvae_core.zoo.addresses import HubAddress, check_source, is_address
from hvae_core.zoo.folders import swap_in
from hvae_core.zoo.index import find_preset, installed_presets, presets_folder
from hvae_core.zoo.preset import (
    CARD_FILE,
    FILES,
    PRESET_FILE,
    SAMPLES_FILE,
    WEIGHTS_FILE,
    Preset,
    check_name,
    read_preset,
)
from hvae_core.zoo.sources import fetch_file
from hvae_core.zoo.verification import compare

#: called with a file's name, the bytes done and the total, or None where it is unknown
PullProgress = Callable[[str, int, int | None], None]
ORIGIN_FILE = "origin.json"


@dataclasses.dataclass(frozen=True)
class PullResult:
    """Where the preset is now; ``status`` is "already here" or "pulled"."""

    name: str
    folder: str
    status: str
    source: str
    size: int

    def to_dict(self) -> dict[str, Any]:
        """The result as plain values."""
        return dataclasses.asdict(self)


def pull(
    source: str | Path, *, progress: PullProgress | None = None, force: bool = False
) -> PullResult:
    """Bring a preset with its weights to this machine, unless it is here already.

    Args:
        source: the name of a preset that records sources for its weights; the address of a folder
            with ``preset.yaml`` and ``model.safetensors``, as ``https://host/path/to/preset``; a
            local folder; or ``hf://owner/name[@revision]``.
        progress: told how far each file is.
        force: fetch it again, and replace a pulled preset of the same name.

    Raises:
        PresetError: there is no such preset, it has no weights anywhere, or a name or a source in
            it is not allowed.
        DownloadError: a file could not be had, or is not what was promised; what has come is kept.
    """
    text = str(source)
    if isinstance(source, str) and is_address(text):
        check_source(text, "hvae zoo pull")
        base, name = text.rstrip("/"), _name_from_address(text)
    elif (Path(text).expanduser() / PRESET_FILE).is_file() and text not in installed_presets():
        folder = Path(text).expanduser().resolve()
        base, name = folder.as_uri(), check_name(read_preset(folder).name, str(folder))
    else:
        return _pull_named(find_preset(text), progress, force)
    if name in installed_presets():
        raise PresetError(
            f"Cannot pull {text}: an installed preset is already named {name!r}.",
            "Use it from its folder, or give the other another name.",
        )
    target = presets_folder() / name
    if target.exists() and _origin(target) != base and not force:
        raise PresetError(
            f"Cannot pull {text}: {name!r} was already pulled from {_origin(target)}.",
            "Replace it with --force.",
        )
    with _workplace(name) as work:
        for file in (PRESET_FILE, CARD_FILE, SAMPLES_FILE):
            (work / file).unlink(missing_ok=True)
        _fetch_from(base, PRESET_FILE, work, progress)
        preset = _checked(work, name)
        if target.exists() and not force and _same_weights(target, preset):
            shutil.rmtree(work)
            return _result(read_preset(target), "already here", base)
        for file in (CARD_FILE, SAMPLES_FILE):
            with contextlib.suppress(DownloadError):  # a preset is whole without them
                _fetch_from(base, file, work, progress)
        own = base if base.startswith("hf://") else f"{base}/{WEIGHTS_FILE}"
        return _finish(preset, [own, *preset.weights.sources], target, base, progress)


def _pull_named(found: Preset, progress: PullProgress | None, force: bool) -> PullResult:
    path = found.weights_path
    if path is not None and (found.origin != "pulled" or not force):
        fault, _ = compare(path, found)
        if not fault:
            return _result(found, "already here", found.origin)
        if found.origin != "pulled":
            raise PresetError(
                f"The weights of the preset {found.name!r} are damaged: {path} {fault}.",
                "Install the package again, or restore the folder.",
            )
    if not found.weights.sources:
        origin = _origin(found.folder) if found.origin == "pulled" else ""
        if is_address(origin):
            with _workplace(found.name) as work:
                shutil.copy2(found.folder / PRESET_FILE, work)
                own = origin if origin.startswith("hf://") else f"{origin}/{WEIGHTS_FILE}"
                return _finish(_checked(work, found.name), [own], found.folder, origin, progress)
        raise PresetError(
            f"The preset {found.name!r}: no trained weights exist yet.",
            f"Train it with: hvae train {found.name}",
        )
    name = check_name(found.name, "hvae zoo pull")
    with _workplace(name) as work:
        for file in (PRESET_FILE, CARD_FILE, SAMPLES_FILE):
            if (found.folder / file).is_file():
                shutil.copy2(found.folder / file, work)
        preset = _checked(work, name)
        sources = list(preset.weights.sources)
        return _finish(preset, sources, presets_folder() / name, sources[0], progress)


def _finish(
    preset: Preset,
    sources: list[str],
    target: Path,
    origin: str,
    progress: PullProgress | None,
) -> PullResult:
    """Fetch the weights into the preset's workplace and put the folder in its place."""
    work = preset.folder
    errors: list[HvaeError] = []
    for source in sources:
        try:
            fetch_file(
                source,
                work / WEIGHTS_FILE,
                filename=WEIGHTS_FILE,
                sha256=preset.weights.sha256,
                size=preset.weights.size,
                progress=_named(progress, WEIGHTS_FILE),
            )
            break
        except HvaeError as error:
            errors.append(error)
    else:
        raise errors[0]
    try:
        read_header(work / WEIGHTS_FILE)
    except WeightsError as error:
        (work / WEIGHTS_FILE).unlink()
        raise PresetError(error.message, error.hint) from error
    (work / ORIGIN_FILE).write_text(json.dumps({"source": origin}))
    for path in work.iterdir():
        if path.name not in (*FILES, ORIGIN_FILE):
            path.unlink()
    swap_in(work, target)
    return _result(read_preset(target, preset.name), "pulled", origin)


def _checked(work: Path, name: str) -> Preset:
    """The preset in the workplace, if its names and sources are allowed and it has a checksum."""
    try:
        preset = read_preset(work, name)
        for source in preset.weights.sources:
            check_source(source, f"{name}: weights.sources")
        if preset.weights.sha256 is None:
            raise PresetError(
                f"The preset {name!r} records no weights.sha256, so what comes cannot be checked.",
                "Ask its author to add it; hvae writes it when a preset is saved.",
            )
    except PresetError:
        shutil.rmtree(work, ignore_errors=True)
        raise
    return preset


@contextlib.contextmanager
def _workplace(name: str) -> Iterator[Path]:
    """The folder where the preset is collected, held against a second process."""
    import filelock

    work = presets_folder() / ".pulling" / name
    try:
        work.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(work.with_name(f"{name}.lock")):
            work.mkdir(exist_ok=True)
            yield work
    except OSError as error:
        raise DownloadError(
            f"Cannot write in {presets_folder()}: {error.strerror or error}.",
            "Make room or choose another folder; HVAE_HOME sets where presets go.",
        ) from error


def _fetch_from(base: str, file: str, work: Path, progress: PullProgress | None) -> None:
    source = base if base.startswith("hf://") else f"{base}/{file}"
    fetch_file(source, work / file, filename=file, progress=_named(progress, file))


def _name_from_address(address: str) -> str:
    if address.startswith("hf://"):
        return HubAddress.parse(address).cache_name
    path = urllib.parse.unquote(urllib.parse.urlsplit(address).path).rstrip("/")
    return check_name(path.rpartition("/")[2], address)


def _same_weights(folder: Path, preset: Preset) -> bool:
    path = folder / WEIGHTS_FILE
    return path.is_file() and not compare(path, preset)[0]


def _origin(folder: Path) -> str:
    try:
        return str(json.loads((folder / ORIGIN_FILE).read_text())["source"])
    except (OSError, ValueError, KeyError, TypeError):
        return "an unknown place"


def _result(preset: Preset, status: str, source: str) -> PullResult:
    path = preset.weights_path
    size = path.stat().st_size if path else 0
    return PullResult(preset.name, str(preset.folder), status, source, size)


def _named(progress: PullProgress | None, file: str) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(file, done, total)
