"""The page's layout, and how it tells of errors."""

import json
from importlib.util import find_spec

import pytest

from hvae_core.cli.main import main
from hvae_core.errors import HvaeError

#: imported by the worker that runs the tests alone: it takes seconds
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")


@pytest.fixture
def error():
    """What the page shows as a message."""
    import gradio

    return gradio.Error


@pytest.fixture(scope="module")
def page():
    from hvae_core.explore.models import Models
    from hvae_core.explore.page import build_page

    return build_page(Models("digits-vdvae"))


def test_it_has_the_tabs_and_the_presets(page):
    parts = json.loads(json.dumps(page.get_config_file()["components"], default=str))
    tabs = [part["props"]["label"] for part in parts if part["type"] == "tabitem"]
    assert tabs == ["Sample", "Reconstruct", "Edit", "Interpolate"]
    menu = next(part for part in parts if part["type"] == "dropdown")
    assert ["digits-vdvae", "digits-vdvae"] in menu["props"]["choices"]
    latents = next(part for part in parts if part["props"].get("label") == "Latents kept")
    assert latents["props"]["maximum"] == 5


def test_it_is_no_programming_interface_and_tells_nobody(page):
    assert {d["api_visibility"] for d in page.get_config_file()["dependencies"]} == {"private"}
    assert not page.analytics_enabled


def test_errors_are_messages(caplog, error):
    from hvae_core.explore.widgets import shown

    def fail(exception):
        raise exception

    with pytest.raises(error, match=r"One sentence\. A hint\.") as caught:
        shown(fail)(HvaeError("One sentence.", "A hint."))
    assert not caught.value.print_exception
    assert not caplog.records
    with pytest.raises(error, match=r"This failed \(ZeroDivisionError\)"):
        shown(fail)(ZeroDivisionError())
    assert len(caplog.records) == 1


@pytest.mark.parametrize("values", [["none"], [["x"]], [{}], [], [7, 8]])
def test_what_fits_no_field_is_refused(page, values, error):
    import asyncio

    function = next(f for f in page.fns.values() if f.api_name == "choose")
    with pytest.raises(error) as caught:
        asyncio.run(page.preprocess_data(function, values, None))
    assert not caught.value.print_exception


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["no-such"], "no preset named 'no-such'"), (["--port", "0"], "--port")],
)
def test_the_command_refuses(arguments, says, capsys):
    with pytest.raises(SystemExit) as left:
        main(["explore", "--no-browser", *arguments])
    assert left.value.code == 2
    assert says in capsys.readouterr().err


def test_a_port_that_is_taken(capsys):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SystemExit) as left:
            main(["explore", "digits-vdvae", "--no-browser", "--port", str(port)])
    assert left.value.code == 2
    assert "--port" in capsys.readouterr().err
