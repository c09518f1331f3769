"""Requests to servers that need not mean well: redirects by our policy, answers within a time.

What `urllib` lacks: a redirect may lead only where an address may (`check_source`), its body is
not read, and the head of an answer has to come within the time limit as a whole, not each byte.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import socket
import threading
import urllib.request
from typing import IO, Any

from hvae_core.errors import DownloadError, PresetError
from hvae_core.fetching.addresses import check_source


def open_url(request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    """The answer to a request, after redirects.

    Raises:
        DownloadError: it leads where no address may lead, or where encryption ends.
        OSError: there is no answer, or one that says no (`urllib.error.HTTPError`).
    """
    return _opener().open(request, timeout=timeout)


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to where an address may lead that the server before names."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request that follows."""
        schemes = ("https:",) if req.full_url.startswith("https:") else ("https:", "http:")
        if not newurl.startswith(schemes):
            raise DownloadError(f"{req.full_url} leads to {newurl}, which is not allowed.")
        try:
            check_source(newurl, f"{req.full_url} leads astray", named_by=req.full_url)
        except PresetError as error:
            raise DownloadError(error.message, error.hint) from error
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def http_error_302(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
    ) -> Any:
        """Follow, without the body of the answer, which may be endless."""
        fp.close()
        return super().http_error_302(req, fp, code, msg, headers)

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302


class _Timed(http.client.HTTPConnection):
    """A connection whose answers begin within its timeout, however slowly their bytes come."""

    def getresponse(self) -> http.client.HTTPResponse:
        """The answer's head.

        Raises:
            TimeoutError: it was not whole in time.
        """
        connection, is_over = self.sock, threading.Event()

        def give_up() -> None:
            is_over.set()
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

        timer = threading.Timer(float(self.timeout or 30), give_up)
        timer.daemon = True
        timer.start()
        try:
            response = super().getresponse()
        except (OSError, http.client.HTTPException) as error:
            if is_over.is_set():
                raise TimeoutError("no answer in time") from error
            raise
        finally:
            timer.cancel()
        if is_over.is_set():  # what came of the head was taken for a whole one
            response.close()
            raise TimeoutError("no answer in time")
        return response


class _TimedTLS(_Timed, http.client.HTTPSConnection):
    """The same, encrypted."""


class _HTTP(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Timed, req)


class _HTTPS(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_TimedTLS, req)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(Redirects, _HTTP, _HTTPS)
