"""The page of ``hvae explore`` as a visitor uses it, in headless Chromium."""

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import urllib.parse
from importlib.util import find_spec

import numpy as np
import pytest
from PIL import Image

playwright = pytest.importorskip("playwright.sync_api")
#: imported by the worker that runs the tests alone: it takes seconds
pytestmark = pytest.mark.skipif(find_spec("gradio") is None, reason="needs gradio")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
#: milliseconds; a model may have to be loaded first
PATIENCE = 60_000


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """Where the command serves, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hvae_core.cli.main", "explore", "digits-vdvae", "--no-browser"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "no_proxy": "127.0.0.1", "TMPDIR": str(tmp_path_factory.mktemp("tmp"))},
    )
    watchdog = threading.Timer(PATIENCE / 1000, process.kill)
    watchdog.start()
    found = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline())
    watchdog.cancel()
    assert found, "the page was not served"
    yield found[0]
    process.terminate()
    process.wait(30)


@pytest.fixture
def page(address, tmp_path):
    """The page, and ``page.asked``: every address that it asked for."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not here")
    with playwright.sync_playwright() as p:
        context = p.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=CHROMIUM, args=FLAGS, headless=True,
            viewport={"width": 1180, "height": 900},
        )  # fmt: skip
        context.set_default_timeout(PATIENCE)
        page = context.new_page()
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(address)
        yield page
        context.close()


def picture(page, label):
    """Pixels of a picture once the model has drawn it."""
    image = page.locator(".block", has=page.get_by_text(label, exact=True)).locator("img").last
    image.wait_for()
    return image


def test_a_visit(page, address, tmp_path):
    # samples are there at once, and change with the seed
    before = picture(page, "Samples").get_attribute("src")
    page.get_by_label("Seed").first.fill("7")
    page.get_by_role("button", name="Sample", exact=True).click()
    page.wait_for_function(
        "old => [...document.images].every(image => image.src !== old)", arg=before
    )

    # an upload is fitted, said to be, and drawn again; the plot has a bar for each layer
    pixels = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    page.get_by_role("tab", name="Reconstruct").click()
    page.locator("input[type=file]").first.set_input_files(tmp_path / "photo.png")
    page.locator(".upload img").first.wait_for()
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    page.get_by_text("Cropped from 60x40 to 40x40, resized to 8x8, turned grey.").wait_for()
    picture(page, "Reconstruction")
    page.locator(".vega-embed [role=graphics-symbol]").nth(4).wait_for()

    # what cannot be done is a sentence
    page.get_by_role("tab", name="Interpolate").click()
    page.get_by_role("button", name="Interpolate", exact=True).click()
    page.get_by_text("Upload the first image first. Or let the model draw one.").wait_for()
    for button in page.get_by_role("button", name="Let the model draw one").all():
        if button.is_visible():
            button.click()
    page.locator(".upload img").nth(2).wait_for()
    page.get_by_role("button", name="Interpolate", exact=True).click()
    picture(page, "From the first to the second")

    # of an image that the model drew, the layers that are kept are decoded
    page.get_by_role("tab", name="Edit").click()
    page.get_by_role("button", name="Decode", exact=True).click()
    page.get_by_text("Upload an image first. Or let the model draw one.").wait_for()
    draw = page.get_by_role("button", name="Let the model draw one")
    next(button for button in draw.all() if button.is_visible()).click()
    page.locator(".upload img:visible").wait_for()
    page.get_by_label("2 (4x4)").uncheck()
    page.get_by_label("number input for Move").fill("2")
    page.get_by_role("button", name="Decode", exact=True).click()
    picture(page, "Decoded")

    # another preset takes its place
    page.get_by_label("Model").first.click()
    page.get_by_role("option", name="cifar10-vdvae-small").click()
    page.get_by_text("32x32 colour images, 15 latent layers").wait_for()

    hosts = {urllib.parse.urlsplit(url).netloc for url in page.asked if url.startswith("http")}
    assert hosts == {urllib.parse.urlsplit(address).netloc}


def test_a_damaged_upload_is_a_sentence(page, tmp_path):
    (tmp_path / "noise.png").write_bytes(b"\x89PNG but not really")
    page.get_by_role("tab", name="Reconstruct").click()
    page.locator("input[type=file]").first.set_input_files(tmp_path / "noise.png")
    page.locator(".upload img").first.wait_for(state="attached")
    page.get_by_role("button", name="Reconstruct", exact=True).click()
    page.get_by_text("An image cannot be read as an image").wait_for()


def test_nobody_else_is_let_in(address):
    port = urllib.parse.urlsplit(address).port
    with socket.socket() as other:
        other.settimeout(5)
        assert other.connect_ex(("127.0.0.2", port)) != 0
