"""Bringing one file of a preset from where it lies: a URL, or the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path

from hvae_core.download import MissingFileError, Progress, fetch
from hvae_core.errors import DownloadError, MissingDependencyError
from hvae_core.paths import offline
from hvae_core.zoo.addresses import HubAddress


def fetch_file(
    source: str,
    target: Path,
    *,
    filename: str,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Bring one file of a preset to ``target``.

    Args:
        source: the file's URL, or ``hf://owner/name[@revision]``.
        target: where it goes.
        filename: its name in a repository of the Hub.
        sha256: expected checksum.
        size: expected length in bytes.
        progress: called with the bytes done and the total.

    Raises:
        DownloadError: it could not be had, or is not what was promised.
        MissingDependencyError: the source is on the Hub and huggingface_hub is not installed.
    """
    if source.startswith("hf://"):
        local = _hub_file(HubAddress.parse(source), filename)
        source = local.resolve().as_uri()
    return fetch(source, target, sha256=sha256, size=size, progress=progress)


def _hub_file(address: HubAddress, filename: str) -> Path:
    if offline():
        raise DownloadError(
            f"{filename} of hf://{address.owner}/{address.name} is needed, but HVAE_OFFLINE=1 "
            "forbids the network."
        )
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
    except ImportError as error:
        raise MissingDependencyError.for_extra(
            "huggingface_hub", "hub", "Pulling from hf://"
        ) from error
    repository = f"{address.owner}/{address.name}"
    try:
        return Path(hf_hub_download(repository, filename, revision=address.revision))
    except LocalEntryNotFoundError as error:  # a kind of EntryNotFoundError: it was not reached
        raise DownloadError(
            f"Cannot fetch {filename} from hf://{repository}: the Hub cannot be reached."
        ) from error
    except EntryNotFoundError as error:
        raise MissingFileError(f"hf://{repository} has no file {filename}.") from error
    except Exception as error:  # the Hub's client raises of many libraries
        text = str(error).strip().splitlines()
        reason = text[0].rstrip(".") if text else type(error).__name__
        raise DownloadError(f"Cannot fetch {filename} from hf://{repository}: {reason}.") from error
