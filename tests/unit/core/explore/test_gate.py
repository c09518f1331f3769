"""What the page's server refuses, route by route, before gradio sees it."""

import asyncio
import json
import os
import re
import time
from pathlib import Path

import pytest

from hvae_core.explore import gate as gates
from hvae_core.explore.gate import API, FILE, JOIN, UPLOAD, Gate
from hvae_core.explore.own_names import own_names

HOME = "127.0.0.1:7860"
#: which routes the page serves, and how a request to them may be refused; all others are 404
SERVED = {
    ("GET", "/"): "host origin",
    ("GET", "/config"): "host origin",
    ("GET", "/theme.css"): "host origin",
    ("GET", "/favicon.ico"): "host origin",
    ("GET", "/manifest.json"): "host origin",
    ("GET", "/robots.txt"): "host origin",
    ("GET", "/assets/{path:path}"): "host origin",
    ("GET", "/static/{path:path}"): "host origin",
    ("GET", "/svelte/{path:path}"): "host origin",
    ("GET", f"{API}/app_id"): "host origin",
    ("GET", f"{API}/startup-events"): "host origin",
    ("GET", f"{API}/heartbeat/{{session_hash}}"): "host origin",
    ("GET", f"{API}/queue/data"): "host origin",
    ("GET", f"{API}/upload_progress"): "host origin",
    ("GET", f"{API}/file={{path_or_url:path}}"): "host origin file",
    ("POST", f"{API}/queue/join"): "host origin kind length size json file",
    ("POST", f"{API}/cancel"): "host origin kind length size json file",
    ("POST", f"{API}/reset"): "host origin kind length size json file",
    ("POST", f"{API}/upload"): "host origin kind length size total",
}
MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "uploads" / "a1").mkdir(parents=True)
    (tmp_path / "uploads" / "a1" / "mine.png").write_bytes(b"mine")
    (tmp_path / "secret.png").write_bytes(b"secret")
    return tmp_path / "uploads"


def ask(folder, method="GET", path="/", body=b"", headers=(), total=1 << 20, chunks=None):
    """The answer's number, and what the application behind the gate was sent, or None."""
    seen = []

    async def app(scope, receive, send):
        got = b""
        while scope["method"] == "POST":
            message = await receive()
            got += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen.append(got)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    given = {"host": HOME, **dict(headers)}
    if method == "POST":
        given = {"content-length": str(len(body)), "content-type": "application/json"} | given
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(k.encode(), v.encode()) for k, v in given.items() if v is not None],
    }
    parts = chunks or [{"type": "http.request", "body": body, "more_body": False}]
    answers = []

    async def receive():
        if not parts:
            await asyncio.sleep(3600)
        return parts.pop(0)

    async def send(message):
        answers.append(message)

    asyncio.run(Gate(app, "127.0.0.1", folder, total)(scope, receive, send))
    return answers[0]["status"], (seen[0] if seen else None)


def refusals(folder, method, route):
    """The numbers of the answers to each kind of hostile request."""
    path = re.sub(r"\{[^}]*\}", "x", route.replace("{path_or_url:path}", "/etc/hostname"))
    fine = {"path": path, "method": method, "body": b"{}"}
    if path == UPLOAD:
        fine |= {"headers": {"content-type": MULTIPART}}

    def status(**changes):
        headers = {**fine.get("headers", {}), **changes.pop("headers", {})}
        return ask(folder, **{**fine, **changes, "headers": headers})[0]

    secret = json.dumps({"data": [{"path": str(folder.parent / "secret.png")}]}).encode()
    return {
        "host": status(headers={"host": "evil.example"}),
        "origin": status(headers={"origin": "http://evil.example"}),
        "kind": status(headers={"content-type": "text/plain"}),
        "length": status(headers={"content-length": None}),
        "size": status(headers={"content-length": str(1 << 30)}),
        "json": status(body=b'{"data": NaN}'),
        "file": status() if path.startswith(FILE) else status(body=secret),
        "total": status(body=b"x" * 100, total=10),
    }


NUMBERS = {"host": 421, "origin": 403, "kind": 415, "length": 411, "size": 413, "json": 400,
           "file": 403, "total": 413}  # fmt: skip


@pytest.mark.parametrize(("method", "route"), SERVED)
def test_what_each_route_refuses(folder, method, route):
    expected = SERVED[method, route].split()
    found = refusals(folder, method, route)
    assert {kind: found[kind] for kind in expected} == {k: NUMBERS[k] for k in expected}
    others = {kind for kind, number in found.items() if number != 200} - set(expected)
    assert not others - {"kind", "length", "size", "json", "total", *expected} or "file" in expected


def test_every_other_route_of_gradio_is_refused(folder):
    gr = pytest.importorskip("gradio")
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown("")
    routes = set()
    import fastapi

    app = gr.mount_gradio_app(fastapi.FastAPI(), page, path="/").routes[-1].app
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        inner = getattr(getattr(route, "original_router", None), "routes", None)
        pending += inner or []
        routes |= {(m, route.path) for m in getattr(route, "methods", None) or ()}
    assert len(routes) > 60
    assert {key for key in SERVED if key not in routes} <= {("GET", f"{API}/app_id")}
    for method, route in sorted(routes):
        if ("GET" if method == "HEAD" else method, route) in SERVED:
            continue
        path = re.sub(r"\{[^}]*\}", "x", route)
        assert ask(folder, method, path, b"{}")[0] == 404, (method, route)


def test_the_documentation_lists_these_routes():
    text = (Path(__file__).parents[4] / "docs" / "reliability.md").read_text(encoding="utf-8")
    rows = text.partition("| route |")[2].partition("\n\n")[0]
    listed = re.findall(r"`(GET|POST) ([^`]+)`", rows)
    assert sorted(listed) == sorted((m, path.replace(":path}", "}")) for m, path in SERVED)


@pytest.mark.parametrize("method", ["OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
def test_other_methods(folder, method):
    assert ask(folder, method, JOIN, headers={"origin": f"http://{HOME}"})[0] == 404


def outside(folder):
    """Everything that is no upload, as a request may name it."""
    os.mkfifo(folder / "pipe")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    return [
        str(folder.parent / "secret.png"), "/etc/hostname", "/no/such/file", "/dev/zero",
        f"{folder}/../secret.png", f"{folder}/a1/../../secret.png", str(folder), str(folder / "a1"),
        str(folder / "none.png"), str(folder / "pipe"), str(folder / "link.png"), "uploads/a1",
        "a1/mine.png", "", f"{folder}/a1/mine.png\0", "http://127.0.0.1/x.png", "file:///etc/hosts",
        f"{folder}x/mine.png", None, 7, [str(folder)], {"path": "/etc/hostname"}, "~/x", "//etc/x",
        "\ud800", "/proc/self/environ", "C:\\x.png",
    ]  # fmt: skip


@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}, {"meta": 3}])
def test_only_an_upload_is_read(folder, meta):
    good = {"path": str(folder / "a1" / "mine.png"), **meta}
    body = {"data": ["digits", good, 5], "fn_index": 4, "session_hash": "x"}
    status, seen = ask(folder, "POST", JOIN, json.dumps(body).encode())
    assert (status, json.loads(seen)) == (200, body)
    for path in outside(folder):
        entry = {"path": path, **meta}
        for data in ([entry], [{"value": entry}], [[[entry]]], entry):
            for key in ("data", "event_data"):
                content = json.dumps({**body, key: data}).encode()
                assert ask(folder, "POST", JOIN, content) == (403, None), path
        if isinstance(path, str):
            assert ask(folder, path=f"{FILE}{path}") == (403, None)
    assert ask(folder, path=f"{FILE}{good['path']}")[0] == 200


def test_the_refusal_does_not_tell_which_files_exist(folder):
    from hvae_core.errors import DataError
    from hvae_core.explore.uploads import own_file

    told = set()
    for path in outside(folder):
        with pytest.raises(DataError) as caught:
            own_file(path, folder)
        told.add(str(caught.value))
    assert told == {"There is no such upload. Upload the image again."}


def test_a_key_given_twice_is_read_once(folder):
    good, bad = folder / "a1" / "mine.png", folder.parent / "secret.png"
    body = f'{{"data": [{{"path": "{bad}", "path": "{good}"}}]}}'.encode()
    status, seen = ask(folder, "POST", JOIN, body)
    assert status == 200
    assert b"secret" not in seen
    assert ask(folder, "POST", JOIN, b'{"data": [{"p\\u0061th": "/etc/hostname"}]}')[0] == 403
    assert ask(folder, "POST", JOIN, b"[" * 30_000 + b"]" * 30_000)[0] == 400


@pytest.mark.parametrize(
    ("host", "own", "foreign"),
    [
        ("127.0.0.1", "127.0.0.1 127.0.0.1:9 localhost:7860 LOCALHOST [::1]:7860",
         "evil.example 127.0.0.1.evil.example localhost.evil:7860 10.0.0.1 127.0.0.1:x "
         "user@127.0.0.1 127.0.0.1@evil.example [::1 [::1]x [::1].evil"),
        ("::1", "[::1]:7860 localhost", "[::2]:7860 evil.example"),
        ("10.1.2.3", "10.1.2.3:7860", "localhost 127.0.0.1 evil.example"),
        ("0.0.0.0", "10.1.2.3:7860 127.0.0.1 localhost [::1]", "evil.example 10.1.2.3.evil"),
    ],
)  # fmt: skip
def test_own_names(host, own, foreign):
    is_own = own_names(host)
    assert [name for name in own.split() if not is_own(name)] == []
    assert [name for name in [*foreign.split(), "", " "] if is_own(name)] == []


def test_requests_of_other_pages(folder):
    join = {"method": "POST", "path": JOIN, "body": b"{}"}
    for origin in ("null", "http://localhost:7860", "https://127.0.0.1:7860", "http://127.0.0.1"):
        assert ask(folder, **join, headers={"origin": origin})[0] == 403
    assert ask(folder, **join, headers={"origin": f"http://{HOME}"})[0] == 200
    for site in ("cross-site", "same-site"):
        assert ask(folder, headers={"sec-fetch-site": site})[0] == 403
        visit = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
        assert ask(folder, headers=visit)[0] == 200
    assert ask(folder, headers={"Host": "evil.example"})[0] == 400  # two of them


def fails(*messages):
    """What an application sends that fails then, as a web framework tells it."""

    async def app(scope, receive, send):
        for message in messages:
            await send(message)
        raise ValueError("bad\nrequest")

    answers = []

    async def record(message):
        answers.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", HOME.encode())]}
    asyncio.run(Gate(app, "127.0.0.1", Path("/nowhere"))(scope, None, record))
    return answers


START = {"type": "http.response.start", "status": 200, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}


@pytest.mark.parametrize("sent", [(), ({**START, "status": 500}, BODY)])
def test_a_request_over_which_the_application_fails(sent, caplog):
    start, body = fails(*sent)
    assert (start["status"], json.loads(body["body"])) == (
        400, {"detail": "The request is not understood."})  # fmt: skip
    (record,) = caplog.records
    assert record.getMessage() == "A request could not be answered: ValueError: bad request"
    assert record.exc_info is None


def test_an_answer_over_which_the_application_fails(caplog):
    part = {**BODY, "more_body": True}
    assert [m.get("more_body", False) for m in fails(START, part)] == [False, True, False]
    told = {**START, "headers": [(b"content-length", b"2")]}
    assert len(fails(told, part)) == 2  # it cannot be ended; the server cuts it
    assert len(fails(START, BODY)) == 2  # it was whole


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "-1e999"])
def test_numbers_that_are_none(folder, number):
    assert ask(folder, "POST", JOIN, b'{"data": [%s]}' % number.encode()) == (400, None)
    assert ask(folder, "POST", JOIN, b'{"data": [1.5, 1e30]}')[0] == 200


def test_a_body_that_does_not_come(folder, monkeypatch):
    monkeypatch.setattr(gates, "PATIENCE", 0.05)
    first = {"type": "http.request", "body": b"{", "more_body": True}
    assert ask(folder, "POST", JOIN, b"{}", chunks=[first]) == (400, None)
    longer = [{"type": "http.request", "body": b"{}" * 9, "more_body": True}]
    assert ask(folder, "POST", JOIN, b"{}", chunks=longer) == (413, None)


def test_uploads_that_broke_off_give_their_room_back(folder):
    stray = folder / "tmpabc"
    stray.write_bytes(b"x" * 1000)
    upload = {"method": "POST", "path": UPLOAD, "body": b"x" * 50, "total": 500}
    upload["headers"] = {"content-type": MULTIPART}
    assert ask(folder, **upload)[0] == 413
    long_ago = time.time() - gates.STALE - 1
    os.utime(stray, (long_ago, long_ago))
    ask(folder, **upload)
    assert not stray.exists()
    assert (folder / "a1" / "mine.png").exists()
