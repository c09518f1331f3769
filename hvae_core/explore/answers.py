"""What the page's server sends back: an answer of what is behind the gate, or a refusal.

The messages are those of ASGI: https://asgi.readthedocs.io/en/latest/specs/www.html.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class RefusalError(Exception):
    """Why a request is not answered, and the number of the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


class Answer:
    """What is sent back, but for the answer that a web framework makes of its own failure.

    The browser is told not to show the page inside another one.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.begun = self.failed = False
        #: of no length that was told beforehand, and not ended yet
        self.is_open = False

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", ()), (b"x-frame-options", b"DENY")]
            self.failed = self.failed or message["status"] == 500
            self.is_open = all(name.lower() != b"content-length" for name, _ in headers)
            message = {**message, "headers": headers}
        if self.failed:
            return
        self.begun = True
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self.is_open = False
        await self._send(message)


async def refuse(send: Send, refusal: RefusalError) -> None:
    """Send a refusal."""
    body = json.dumps({"detail": refusal.reason}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
