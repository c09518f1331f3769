"""A loopback Hub with one data set repository: what the library asks of it, and no more."""

import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

COMMIT = "0" * 39 + "1"


def entry(root, path):
    """A file or folder of the repository, as the Hub describes it."""
    described = {"path": path.relative_to(root).as_posix(), "oid": path.name, "size": 0}
    if path.is_dir():
        return {"type": "directory", **described}
    return {"type": "file", **described, "size": path.stat().st_size}


def serve(root, name, asked):
    """Start it.

    Args:
        root: the repository's files.
        name: owner/name.
        asked: a list that gets the method and path of every request.

    Returns:
        The server; `shutdown` ends it.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            asked.append(f"{self.command} {path}")
            inside = path.partition("/resolve/")[2] or path.partition("/tree/")[2]
            place = root / inside.partition("/")[2]
            if name not in path:
                self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif "/resolve/" in path and place.is_file():
                self.content(place.read_bytes())
            elif "/tree/" in path and place.is_dir():
                found = place.rglob("*") if "recursive=true" in self.path else place.iterdir()
                self.json([entry(root, child) for child in sorted(found)])
            elif "/resolve/" in path or "/tree/" in path:
                self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})
            else:
                self.json({"id": name, "sha": COMMIT, "siblings": [], "private": False, "tags": []})

        do_HEAD = do_GET

        def content(self, data):
            part = self.headers.get("Range", "bytes=-").removeprefix("bytes=").split("-")
            first, last = int(part[0] or 0), int(part[1] or len(data) - 1)
            headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if "Range" in self.headers:
                headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            self.answer(206 if "Range" in self.headers else 200, data[first : last + 1], headers)

        def json(self, value):
            self.answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

        def answer(self, code, data, headers):
            self.send_response(code)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
