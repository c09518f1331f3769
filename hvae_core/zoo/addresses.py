"""The addresses a preset or its weights may come from."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from hvae_core.errors import PresetError

SCHEMES = ("https://", "http://", "file://", "hf://")
_HUB = re.compile(
    r"hf://(?P<owner>[\w-][\w.-]*)/(?P<name>[\w-][\w.-]*)(?:@(?P<revision>[\w-][\w./-]*))?"
)


@dataclasses.dataclass(frozen=True)
class HubAddress:
    """``hf://owner/name[@revision]``: a model repository of the Hugging Face Hub."""

    owner: str
    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, address: str) -> HubAddress:
        """Take the address apart.

        Raises:
            PresetError: it has another form.
        """
        match = _HUB.fullmatch(address)
        if match is None or ".." in address:
            raise PresetError(
                f"{address!r} is no address on the Hub.", "Expected hf://owner/name[@revision]."
            )
        return cls(**match.groupdict())

    @property
    def cache_name(self) -> str:
        """The name of the folder it is pulled to."""
        revision = f"@{self.revision.replace('/', '--')}" if self.revision else ""
        return f"hf--{self.owner}--{self.name}{revision}"


def is_address(text: str) -> bool:
    """Whether this is an address on the network or a URL, rather than a name or a path."""
    return "://" in text


def check_source(source: str, where: str) -> str:
    """``source`` if it can be fetched from.

    Raises:
        PresetError: it is a path, climbs out of its place, or has an unknown scheme.
    """
    path = urllib.parse.unquote(source)
    if not source.startswith(SCHEMES) or ".." in re.split(r"[/\\]", path):
        raise PresetError(
            f"{where}: {source!r} is not allowed as a source.",
            "Expected an address with https://, http://, file:// or hf://, and no '..' in it.",
        )
    return source
