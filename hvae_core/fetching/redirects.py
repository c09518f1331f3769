"""Opening a URL and following where it leads, as far as that is safe."""

from __future__ import annotations

import functools
import http.client
import urllib.request
from typing import IO

from hvae_core.errors import DownloadError


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from an encrypted connection to one that is not."""

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
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(request: urllib.request.Request, timeout: float) -> http.client.HTTPResponse:
    """The answer to a request, after redirects.

    Raises:
        DownloadError: it leads where encryption ends, or to another scheme than http.
        OSError: there is no answer, or one that says no (`urllib.error.HTTPError`).
    """
    return _opener().open(request, timeout=timeout)


@functools.cache
def _opener() -> urllib.request.OpenerDirector:
    return urllib.request.build_opener(_Redirects)
