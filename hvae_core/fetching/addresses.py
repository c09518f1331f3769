"""The addresses a preset or its weights may come from."""

from __future__ import annotations

import dataclasses
import re
import urllib.parse

from hvae_core.errors import PresetError

SCHEMES = ("https://", "http://", "file://", "hf://")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
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

    @classmethod
    def with_revision(cls, address: str, revision: str) -> str:
        """The address of another revision.

        Raises:
            PresetError: it is no address on the Hub, or names a revision already.
        """
        known = cls.parse(address)
        if known.revision not in (None, revision):
            raise PresetError(
                f"{address} names the revision {known.revision!r}, but {revision!r} is asked for."
            )
        text = f"hf://{known.repository}@{revision}"
        cls.parse(text)
        return text

    @property
    def repository(self) -> str:
        """``owner/name``."""
        return f"{self.owner}/{self.name}"

    @property
    def cache_name(self) -> str:
        """The name of the folder it is pulled to."""
        revision = f"@{self.revision.replace('/', '--')}" if self.revision else ""
        return f"hf--{self.owner}--{self.name}{revision}"


def is_address(text: str) -> bool:
    """Whether this is an address on the network or a URL, rather than a name or a path."""
    return "://" in text


def check_source(source: str, where: str, *, local: bool = True) -> str:
    """``source`` if it can be fetched from.

    Args:
        source: an address.
        where: what names it, for the message.
        local: whether ``file://`` is allowed; what came from a network may not name local files.

    Raises:
        PresetError: it is a path, climbs out of its place, has an unknown scheme, is not
            encrypted though it leads to another machine, or is malformed.
    """
    schemes = SCHEMES if local else tuple(scheme for scheme in SCHEMES if scheme != "file://")
    path = urllib.parse.unquote(source)
    if not source.startswith(schemes) or ".." in re.split(r"[/\\]", path):
        raise PresetError(
            f"{where}: {source!r} is not allowed as a source.",
            f"Expected an address with {', '.join(schemes)}, and no '..' in it.",
        )
    if not path.isprintable() or " " in source or not _well_formed(source):
        raise PresetError(f"{where}: {source!r} is no well-formed address.")
    if source.startswith("http://") and urllib.parse.urlsplit(source).hostname not in LOOPBACK:
        raise PresetError(
            f"{where}: {source!r} is not encrypted, so what comes could be anyone's.",
            "Expected https://; http:// is allowed for this machine alone.",
        )
    return source


def _well_formed(source: str) -> bool:
    if source.startswith("hf://"):
        return _HUB.fullmatch(source) is not None
    try:
        parts = urllib.parse.urlsplit(source)
        _ = parts.port
    except ValueError:
        return False
    if parts.scheme == "file":
        return parts.netloc in ("", "localhost")
    return bool(parts.hostname) and parts.username is None
