"""Bringing a preset's weights to this machine: the only part of hvae that loads from a network.

Everything is collected in ``<cache>/presets/.pulling/<name>``, where an interrupted pull goes on
later, and takes its place by one rename when the weights have the recorded sha256.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hvae_core.errors import (
    ConfigError,
    DownloadError,
    HvaeError,
    PluginError,
    PresetError,
    WeightsError,
)
from hvae_core.fetching.addresses import HubAddress, check_source, is_address
from hvae_core.fetching.hub import fetch_file
from hvae_core.fetching.transfer import Patience, Promise
from hvae_core.files.paths import expand_home, is_file
from hvae_core.files.places import offline
from hvae_core.files.replacing import swap_in
from hvae_core.files.yaml_files import MAX_BYTES
from hvae_core.weights.tensors import read_header
from hvae_core.zoo.conversion import convert, fetch_originals
from hvae_core.zoo.finding import find_preset
from hvae_core.zoo.folders import installed_presets, presets_folder
from hvae_core.zoo.origin import NAME_PATTERN, ORIGIN_FILE, name_in, note_origin, read_origin
from hvae_core.zoo.originals import ORIGINALS
from hvae_core.zoo.outside import check_tensors, checked
from hvae_core.zoo.preset import (
    CARD_FILE,
    FILES,
    PICTURES,
    PRESET_FILE,
    WEIGHTS_FILE,
    Preset,
    check_name,
    how_to_get,
    read_preset,
)
from hvae_core.zoo.verification import compare
from hvae_core.zoo.workplace import clear_except, workplace

#: called with a file's name, the bytes done and the total, or None where it is unknown
PullProgress = Callable[[str, int, int | None], None]
#: the most bytes accepted of the files that no checksum is known of
LIMITS = {PRESET_FILE: MAX_BYTES, CARD_FILE: 1 << 20, **dict.fromkeys(PICTURES, 32 << 20)}


@dataclasses.dataclass(frozen=True)
class _How:
    """What was asked for beside the preset."""

    progress: PullProgress | None
    patience: Patience
    force: bool


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
    source: str | Path,
    *,
    revision: str | None = None,
    progress: PullProgress | None = None,
    force: bool = False,
    least_rate: float = Patience.least_rate,
    max_time: float = Patience.total,
) -> PullResult:
    """Bring a preset with its weights to this machine, unless it is here already.

    Args:
        source: the name of a preset that records sources for its weights, or an original's
            checkpoint, which is then converted; the address of a folder
            with ``preset.yaml`` and ``model.safetensors``, as ``https://host/path/to/preset``; a
            local folder; or ``hf://owner/name[@revision]``.
        revision: a branch, tag or commit of a repository on the Hub.
        progress: told how far each file is, and of ``waiting for another pull``, a file of 0 bytes.
        force: fetch it again, and replace a pulled preset of the same name.
        least_rate: bytes a second, over a minute, below which a server is given up; 0: never.
        max_time: seconds that a file may take in all.

    Raises:
        PresetError: there is no such preset, it has no weights anywhere, or a name or a source in
            it is not allowed; or an original's checkpoint is not what the preset says.
        DownloadError: a file could not be had, or is not what was promised; what has come is kept.
    """
    text, how = str(source), _How(progress, Patience(least_rate=least_rate, total=max_time), force)
    if revision is not None:
        text = HubAddress.with_revision(text, revision)
    if isinstance(source, str) and is_address(text):
        check_source(text, "hvae zoo pull")
        base, name = text.rstrip("/"), name_in(text)
        if not text.startswith("hf://"):
            check_name(name, text)
    elif text not in installed_presets() and is_file(
        (place := expand_home(text, PresetError)) / PRESET_FILE
    ):
        folder = place.resolve()
        base, name = folder.as_uri(), check_name(read_preset(folder).name, str(folder))
    else:
        return _pull_named(find_preset(text), how)
    return _pull_folder(text, base, name, how)


def _pull_folder(source: str, base: str, name: str, how: _How) -> PullResult:
    """Pull the preset in a folder, local or on a server.

    One of an installed preset's name brings that preset's weights, if the package is without them.
    """
    if name in installed_presets():
        installed = find_preset(name)
        if _lacks_recorded_weights(installed):
            return _pull_named(installed, how, [_within(base)])
        raise PresetError(
            f"Cannot pull {source}: an installed preset is already named {name!r}.",
            "Use it from its folder, or give the other another name.",
        )
    target = presets_folder() / name
    if not how.force and (found := _here_already(source, base, name)):
        return found
    with workplace(name, _waiting(how.progress)) as work:
        if target.exists() and read_origin(target) != base and not how.force:
            raise PresetError(
                f"Cannot pull {source}: {name!r} was already pulled from {read_origin(target)}.",
                "Replace it with --force.",
            )
        for file in LIMITS:
            (work / file).unlink(missing_ok=True)
        _fetch_from(base, PRESET_FILE, work, how)
        preset = checked(work, name, base)
        if target.exists() and not how.force and _same_weights(target, preset):
            shutil.rmtree(work)
            return _result(read_preset(target, name), "already here", base)
        for file in (CARD_FILE, *PICTURES):
            with contextlib.suppress(DownloadError):  # a preset is whole without them
                _fetch_from(base, file, work, how)
        return _finish(preset, [_within(base), *preset.weights.sources], target, base, how)


def _pull_named(found: Preset, how: _How, places: Sequence[str] = ()) -> PullResult:
    """Pull the weights of a preset that is known here, from ``places`` or its own sources."""
    if found.weights_path is not None and (found.origin != "pulled" or not how.force):
        fault, _ = compare(found.weights_path, found)
        if not fault:
            return _result(found, "already here", found.origin)
        if found.origin != "pulled":
            raise PresetError(
                f"The weights of the preset {found.name!r} are damaged: {found.weights_path} "
                f"{fault}.",
                "Install the package again, or restore the folder.",
            )
    name, sources = found.name, [*places, *found.weights.sources]
    if found.origin == "pulled" and not NAME_PATTERN.fullmatch(name):
        raise PresetError(
            f"Cannot pull {name!r} by this name, which is that of its folder alone.",
            how_to_get(found),
        )
    check_name(name, "hvae zoo pull")
    original = found.weights.to_convert
    target, origin = presets_folder() / name, sources[0] if sources else ""
    if original is not None:
        sources, origin = [], original.files[0].sources[0]
    elif not sources and found.origin == "pulled" and is_address(read_origin(found.folder)):
        origin = read_origin(found.folder)
        sources = [origin if origin.endswith(f"/{WEIGHTS_FILE}") else _within(origin)]
    if not sources and original is None:
        exist = found.weights.sha256 is not None
        raise PresetError(
            f"The preset {name!r}: "
            + ("its weights are not in the package." if exist else "no trained weights exist yet."),
            f"{how_to_get(found)}.",
        )
    with workplace(name, _waiting(how.progress)) as work:
        if target.exists() and not how.force and _same_weights(target, found):  # it was waited for
            shutil.rmtree(work)
            return _result(read_preset(target, name, "pulled"), "already here", origin)
        for file in LIMITS:
            (work / file).unlink(missing_ok=True)  # a link there is not written through
            if (found.folder / file).is_file():
                shutil.copy2(found.folder / file, work)
        return _finish(checked(work, name, "file:"), sources, target, origin, how)


def _finish(
    preset: Preset,
    sources: list[str],
    target: Path,
    origin: str,
    how: _How,
) -> PullResult:
    """Fetch the weights into the preset's workplace and put the folder in its place.

    Where an original's checkpoint is all there is, it is fetched and converted.
    """
    work = preset.folder
    if (original := preset.weights.to_convert) is not None:

        def fetch(source: str, file: Path, promise: Promise) -> object:
            return fetch_file(source, file, promise, _named(how.progress, file.name), how.patience)

        fetch_originals(original, work / ORIGINALS, fetch)
        try:
            convert(preset, original, work / ORIGINALS)
        except (WeightsError, ConfigError, PluginError) as error:
            shutil.rmtree(work)
            raise PresetError(error.message, error.hint) from error
        return _install(preset, target, origin)
    promise = Promise(sha256=preset.weights.sha256, size=preset.weights.size)
    errors: list[HvaeError] = []
    for source in sources:
        try:
            told = _named(how.progress, WEIGHTS_FILE)
            fetch_file(source, work / WEIGHTS_FILE, promise, told, how.patience)
            break
        except HvaeError as error:
            errors.append(error)
    else:
        raise errors[0]
    return _install(preset, target, origin)


def _install(preset: Preset, target: Path, origin: str) -> PullResult:
    """Put the folder with its weights in its place."""
    work = preset.folder
    try:
        check_tensors(preset, read_header(work / WEIGHTS_FILE))
    except WeightsError as error:
        (work / WEIGHTS_FILE).unlink()
        raise PresetError(error.message, error.hint) from error
    note_origin(work, origin)
    clear_except(work, (*FILES, ORIGIN_FILE))
    swap_in(work, target)
    return _result(read_preset(target, preset.name), "pulled", origin)


def _here_already(source: str, base: str, name: str) -> PullResult | None:
    """A preset that was pulled from there, where it need not or cannot be asked for anew.

    That is one of a full commit, which never changes; and any other where the network is forbidden
    or the cache cannot be written. Nothing is written.
    """
    target = presets_folder() / name
    if not is_file(target / PRESET_FILE) or read_origin(target) != base:
        return None
    revision = HubAddress.parse(source).revision if source.startswith("hf://") else None
    is_fixed = re.fullmatch("[0-9a-f]{40}", revision or "") is not None
    is_forbidden = offline() and not base.startswith("file:")
    if not is_fixed and not is_forbidden and os.access(presets_folder(), os.W_OK):
        return None
    preset = read_preset(target, name, "pulled")
    return _result(preset, "already here", base) if _same_weights(target, preset) else None


def _lacks_recorded_weights(preset: Preset) -> bool:
    """Whether an installed preset's weights are known but too large for the package."""
    is_without = preset.weights_path is None or preset.origin == "pulled"
    recorded = preset.weights
    return is_without and (recorded.sha256 is not None or recorded.original is not None)


def _fetch_from(base: str, file: str, work: Path, how: _How) -> None:
    promise = Promise(limit=LIMITS[file])
    told = _named(how.progress, file)
    fetch_file(_within(base, file), work / file, promise, told, how.patience)


def _within(base: str, file: str = WEIGHTS_FILE) -> str:
    """The source of a file in a folder; on the Hub that is the repository."""
    return base if base.startswith("hf://") else f"{base}/{file}"


def _same_weights(folder: Path, preset: Preset) -> bool:
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        return False
    if preset.weights.to_convert is not None:  # what was made of it is recorded there alone
        there = read_preset(folder)
        if not preset.weights.is_same_as(there.weights):
            return False
        preset = there
    return not compare(path, preset)[0]


def _result(preset: Preset, status: str, source: str) -> PullResult:
    path = preset.weights_path
    size = path.stat().st_size if path else 0
    return PullResult(preset.name, str(preset.folder), status, source, size)


def _named(progress: PullProgress | None, file: str) -> Callable[[int, int | None], None] | None:
    if progress is None:
        return None
    return lambda done, total: progress(file, done, total)


def _waiting(progress: PullProgress | None) -> Callable[[], None] | None:
    told = _named(progress, "waiting for another pull")
    return None if told is None else lambda: told(0, None)
