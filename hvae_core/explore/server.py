"""Serving the page: its folder of uploads, its address, and its end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from hvae_core.explore.gate import Gate
from hvae_core.explore.uploads import MAX_BYTES
from hvae_core.files.replacing import remove_folder

if TYPE_CHECKING:
    import gradio as gr

PREFIX = "hvae-explore-"
UPLOADS = "uploads"
#: where a port is looked for, if none is given
PORTS = range(7860, 7960)
#: seconds that open connections get at the end
GRACE = 1


@contextlib.contextmanager
def upload_folder() -> Iterator[Path]:
    """A folder for uploads and pictures, told to gradio, and removed however the process ends.

    On SIGTERM and SIGHUP the program leaves by `SystemExit`, through this function. What a killed
    process could not remove is removed by the next one. To be entered in the main thread, before
    gradio is imported.
    """
    import filelock

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    _remove_leftovers()
    with tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as place:
        folder = Path(place).resolve()
        with filelock.FileLock(_lock(folder)):
            uploads = folder / UPLOADS
            uploads.mkdir()
            os.environ["GRADIO_TEMP_DIR"] = str(uploads)
            os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
            yield uploads


def listen(host: str, port: int | None) -> socket.socket:
    """A socket that listens at ``host``, at the first free port of `PORTS` where none is given.

    Raises:
        OSError: the host is none, or not this machine's, or the port cannot be had.
    """
    try:
        family = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][0]
    except UnicodeError as error:  # such as 127..1, or a part of over 63 letters
        raise OSError(errno.EINVAL, "it is no name or address of a machine") from error
    ports = [port] if port else list(PORTS)
    for tried in ports:
        try:
            return socket.create_server((host, tried), family=family)
        except OSError:
            if tried == ports[-1]:
                raise
    raise AssertionError("not reached")


def gated(page: gr.Blocks, host: str, folder: Path) -> Gate:
    """The page as an application, behind the gate.

    Args:
        page: what `hvae_core.explore.page.build_page` made.
        host: the interface it is served at.
        folder: where uploads are kept.
    """
    import fastapi
    import gradio as gr

    from hvae_core.explore.page import STYLE

    outer = fastapi.FastAPI(openapi_url=None)
    app = gr.mount_gradio_app(
        outer, page, path="/", footer_links=[], show_error=False, ssr_mode=False,
        max_file_size=MAX_BYTES, **STYLE,
    )  # fmt: skip
    page.has_launched = True  # else gradio leaves its own check of paths out
    return Gate(app, host, folder)


def serve(
    gate: Gate, listening: socket.socket, tell: Callable[[str], None], open_browser: bool
) -> None:
    """Serve the page until it is interrupted.

    Args:
        gate: what `gated` made.
        listening: what `listen` made.
        tell: told the address.
        open_browser: show the page.
    """
    import uvicorn

    host, port = listening.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = "localhost"
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
    config = uvicorn.Config(
        gate, log_level="warning", timeout_graceful_shutdown=GRACE, server_header=False
    )  # type: ignore[arg-type, unused-ignore]
    with contextlib.suppress(KeyboardInterrupt):
        tell(address)
        if open_browser:
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
        uvicorn.Server(config).run(sockets=[listening])


def _leave(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)


def _lock(folder: Path) -> Path:
    return folder / "lock"


def _remove_leftovers() -> None:
    """Remove the folders of processes that were killed; one that is held is another page's."""
    import filelock

    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, filelock.Timeout):
            is_own = not hasattr(os, "getuid") or folder.lstat().st_uid == os.getuid()
            if folder.is_symlink() or not _lock(folder).is_file() or not is_own:
                continue
            with filelock.FileLock(_lock(folder)).acquire(timeout=0):
                remove_folder(folder)
