"""Bringing one file of a preset from where it lies: a URL, or the Hugging Face Hub."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from hvae_core.errors import DownloadError, MissingDependencyError
from hvae_core.fetching.addresses import HubAddress
from hvae_core.fetching.download import MissingFileError, Progress, fetch
from hvae_core.fetching.transfer import UNANNOUNCED, Pace, Patience, Promise, disk_errors
from hvae_core.files.places import offline
from hvae_core.files.replacing import move_into_place

#: in the workplace: what the Hub's client notes, and the bytes it has so far
HUB_FOLDER = ".hub"
DEFAULT_PATIENCE = Patience()


def fetch_file(
    source: str,
    target: Path,
    promise: Promise,
    progress: Progress | None = None,
    patience: Patience = DEFAULT_PATIENCE,
) -> Path:
    """Bring one file of a preset to ``target``.

    Args:
        source: the file's URL, or the repository ``hf://owner/name[@revision]`` that has a file of
            the target's name.
        target: where it goes.
        promise: what it is expected to be.
        progress: called with the bytes done and the total.
        patience: how long a server is waited for; the Hub's client has its own for silence.

    Raises:
        DownloadError: it could not be had, or is not what was promised.
        MissingDependencyError: the source is on the Hub and huggingface_hub is not installed.
    """
    if not source.startswith("hf://"):
        return fetch(
            source,
            target,
            sha256=promise.sha256,
            size=promise.size,
            limit=promise.limit,
            progress=progress,
            least_rate=patience.least_rate,
            total_time=patience.total,
        )
    if target.is_file() and promise.identifies and promise.broken_by(target) is None:
        return target
    address = HubAddress.parse(source)
    local = _hub_file(address, target, promise, progress, patience)
    with disk_errors(target):
        if fault := promise.broken_by(local):
            local.unlink()
            raise DownloadError(
                f"{target.name} of hf://{address.repository} is not the file that was promised: "
                f"{fault}."
            )
        move_into_place(local, target)
    return target


def _hub_file(
    address: HubAddress,
    target: Path,
    promise: Promise,
    progress: Progress | None,
    patience: Patience,
) -> Path:
    """The file in the Hub folder beside ``target``, where the Hub's client resumes it."""
    name, repository, folder = target.name, address.repository, target.parent / HUB_FOLDER
    if offline():
        raise DownloadError(
            f"{name} of hf://{repository} is needed, but HVAE_OFFLINE=1 forbids the network."
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "huggingface_hub", "hub", "Pulling from hf://"
        ) from error
    options: dict[str, Any] = {
        "revision": address.revision,
        "local_dir": folder,
    }
    what = f"{name} of hf://{repository}"
    with disk_errors(target):
        _remove_links(folder)
    try:
        length = hf_hub_download(repository, name, dry_run=True, **options).file_size
        if length is not None and (fault := promise.broken_by_length(length)):
            raise DownloadError(f"{what} is refused: {fault}.")
        most = promise.most if length is None else length
        bar = _bar(progress, _Bounds(what, UNANNOUNCED if most is None else most, patience))
        return Path(hf_hub_download(repository, name, tqdm_class=bar, **options))
    except _EndlessError:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError: it was not reached
        raise DownloadError(
            f"Cannot fetch {name} from hf://{repository}: the Hub cannot be reached."
        ) from error
    except EntryNotFoundError as error:
        raise MissingFileError(f"hf://{repository} has no file {name}.") from error
    except DownloadError:
        raise
    except Exception as error:  # the Hub's client raises of many libraries
        raise DownloadError(
            f"Cannot fetch {name} from hf://{repository}: {hub_reason(error)}."
        ) from error


def hub_reason(error: Exception) -> str:
    """What the Hub's client says, in one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    # The client puts the answer's number and the request's first, its sentence after them.
    plain = [line for line in lines if "Request ID" not in line]
    return (plain or lines or [type(error).__name__])[0].rstrip(".")


def _remove_links(folder: Path) -> None:
    """Remove links in the folder, which the Hub's client would write through."""
    for path in (folder, *folder.rglob("*")):
        found = path.lstat() if path.is_symlink() or path.exists() else None
        if found and (path.is_symlink() or (path.is_file() and found.st_nlink > 1)):
            path.unlink()


class _EndlessError(DownloadError):
    """More has come than was announced."""


class _Bounds:
    """What a file may take of space and time, checked as it comes."""

    def __init__(self, what: str, most: int, patience: Patience) -> None:
        self._what, self._most, self._total = what, most, patience.total
        self._until = time.monotonic() + patience.total
        self._pace = Pace(what, patience)
        self._come = 0

    def add(self, count: int) -> None:
        """Count bytes that have come; those of an attempt that is made anew are taken back.

        Raises:
            DownloadError: they are too many, or have come too slowly.
        """
        self._come += count
        if self._come > self._most:
            raise _EndlessError(f"{self._what} goes on after the {self._most} bytes expected.")
        if time.monotonic() > self._until:
            raise DownloadError(f"{self._what} takes longer than {self._total:.0f} seconds.")
        self._pace.check(self._come)


def _bar(progress: Progress | None, bounds: _Bounds) -> type:
    """A class that the Hub's client takes for tqdm's."""

    class Bar:
        def __init__(self, *_: Any, total: int | None = None, initial: int = 0, **__: Any) -> None:
            self.total, self.n = total, initial

        def update(self, count: int = 1) -> None:
            self.n += count
            bounds.add(count)
            if progress is not None:
                progress(self.n, self.total)

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):
                raise AttributeError(name)
            return lambda *_, **__: None

    return Bar
