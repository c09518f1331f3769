"""Take docs/images/explore.png of the page of ``hvae explore``, in headless Chromium.

``python docs/make_screenshot.py PRESET IMAGE LATENTS``; needs hvae[explore], playwright and a
Chromium that is installed.
"""

from __future__ import annotations

import queue
import shutil
import sys
import threading
from pathlib import Path

from playwright.sync_api import sync_playwright

from hvae_core.explore.models import Models
from hvae_core.explore.server import gated, listen, serve, upload_folder

TARGET = Path(__file__).resolve().parent / "images" / "explore.png"


def main(preset: str, image: str, latents: str) -> None:
    """Upload ``image``, reconstruct it from its first ``latents``, and take the picture."""
    with upload_folder() as folder, listen("127.0.0.1", None) as listening:
        from hvae_core.explore.page import build_page

        gate = gated(build_page(Models(preset)), "127.0.0.1", folder)
        told: queue.Queue[str] = queue.Queue()
        threading.Thread(target=serve, args=(gate, listening, told.put, False), daemon=True).start()
        take(told.get(), image, latents)


def take(address: str, image: str, latents: str) -> None:
    """Visit the page at ``address``."""
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        tab = browser.new_page(viewport={"width": 1140, "height": 850})
        tab.set_default_timeout(180_000)
        tab.goto(address)
        tab.get_by_role("tab", name="Reconstruct").click()
        tab.locator("input[type=file]").first.set_input_files(image)
        tab.locator(".upload img").first.wait_for()
        tab.get_by_label("number input for Latents kept").fill(latents)
        tab.get_by_role("button", name="Reconstruct", exact=True).click()
        tab.get_by_text("bits/dim").wait_for()
        tab.wait_for_timeout(1500)
        tab.mouse.move(5, 5)
        tab.screenshot(path=TARGET)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
