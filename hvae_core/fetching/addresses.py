"""The addresses a preset or its weights may come from."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import socket
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


def is_local(source: str) -> bool:
    """Whether an address names this machine or its own network, in whatever way it is written.

    Names are not resolved: one that leads here all the same has no certificate for https.
    """
    if source.startswith(("file:", "hf:")):
        return source.startswith("file:")
    try:
        host = (urllib.parse.urlsplit(source).hostname or "").rstrip(".").lower()
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    found: ipaddress.IPv4Address | ipaddress.IPv6Address
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        try:  # 127.1, 2130706433 and 0x7f.1 are 127.0.0.1
            found = ipaddress.IPv4Address(socket.inet_aton(host))
        except (OSError, ValueError):
            return False
    mapped = getattr(found, "ipv4_mapped", None)
    return not (mapped or found).is_global


def check_source(source: str, where: str, *, named_by: str = "") -> str:
    """``source`` if it can be fetched from.

    Args:
        source: an address.
        where: what names it, for the message.
        named_by: the address of what names it, if not the user did: what came from a server may not
            name files, and one from elsewhere no address of this machine or its network.

    Raises:
        PresetError: it is a path, climbs out of its place, has an unknown scheme, is not
            encrypted though it leads to another machine, is local, or is malformed.
    """
    may_be_file = not named_by or named_by.startswith("file:")
    schemes = SCHEMES if may_be_file else tuple(s for s in SCHEMES if s != "file://")
    path = urllib.parse.unquote(source)
    if not source.startswith(schemes) or ".." in re.split(r"[/\\]", path):
        raise PresetError(
            f"{where}: {source!r} is not allowed as a source.",
            f"Expected an address with {', '.join(schemes)}, and no '..' in it.",
        )
    if not path.isprintable() or " " in source or not _well_formed(source):
        raise PresetError(f"{where}: {source!r} is no well-formed address.")
    if named_by and not is_local(named_by) and is_local(source):
        raise PresetError(
            f"{where}: {source!r} is not allowed as a source: it lies on this machine or its own "
            "network, and was named from elsewhere."
        )
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
