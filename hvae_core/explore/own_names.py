"""By which names a server on this machine may be called."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Callable


def own_names(host: str) -> Callable[[str], bool]:
    """Whether a ``Host`` header is a name of a server on the interface ``host``.

    An interface of this machine alone is called 127.0.0.1, [::1] or localhost; another one by its
    address or the name given; all interfaces together (0.0.0.0) by any address, since rebinding
    needs a name, and by this machine's own name. The port may be another, as behind a tunnel.
    """
    address = _address(host)
    names = {host.lower()}
    if host == "localhost" or (address is not None and address.is_loopback):
        names |= {"localhost", "127.0.0.1", "::1"}
    is_any = address is not None and address.is_unspecified
    if is_any:
        names = {"localhost", socket.gethostname().lower()}
    elif address is None:
        with contextlib.suppress(OSError):
            names |= {str(found[4][0]) for found in socket.getaddrinfo(host, None)}

    def is_own(header: str) -> bool:
        name, bracket, port = header.lower().rpartition("]")
        if bracket:
            name = name.removeprefix("[")
        else:
            name, _, port = port.partition(":")
        port = port.removeprefix(":")
        if port and not (port.isascii() and port.isdigit()):
            return False
        return name in names or (is_any and _address(name) is not None)

    return is_own


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
