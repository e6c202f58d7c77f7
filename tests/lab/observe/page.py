"""The page in a real browser: ``make page``. Every picture at two widths, light and dark, judged by axe, kept as screenshots.

Exit code 1 where axe finds anything, a page is wider than its window, says something on the console, or asks for anything outside.
``make picture`` draws the README's picture instead.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import uvicorn
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright
from starlette.applications import Starlette
from starlette.routing import Mount

from poller.telemetry import admin
from poller.telemetry.facts import Telemetry
from tests.support.pictures import PICTURES, Clock, Shown

LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((1400, "light"), (390, "light"), (390, "dark"))
"""Widths and colour schemes."""

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome") or ""
OUT = Path("build/page")
DEEP = {"healthy", "gone-3", "gap", "healthy-48"}
"""Pictures of which the page of an account is looked at as well."""


@contextmanager
def serving() -> Iterator[str]:
    """Every picture under its name, on a free port."""
    telemetry = Telemetry(version="1.2.3", level="critical", clock=Clock())
    routes = [Mount(f"/{name}", admin.application(Shown(picture, 30), telemetry, loopback=True)) for name, picture in PICTURES.items()]
    server = uvicorn.Server(uvicorn.Config(Starlette(routes=routes), port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


def look(page: Page, url: str, where: str, axe: str) -> list[str]:
    """What is wrong with one page."""
    said: list[str] = []

    def console(message: ConsoleMessage) -> None:
        said.append(f"console: {message.text}")

    def request(asked: Request) -> None:
        if not asked.url.startswith((url, "data:")):
            said.append(f"asks for {asked.url}")

    page.on("console", console)
    page.on("request", request)
    page.goto(f"{url}?refresh=0")
    page.screenshot(path=OUT / f"{where}.png", full_page=True)
    found = [f"{where}: {each}" for each in (*judged(page, axe), *said)]
    page.remove_listener("console", console)
    page.remove_listener("request", request)
    print("\n".join(found) or f"{where}: well", flush=True)
    return found


def judged(page: Page, axe: str) -> list[str]:
    """What axe finds, and whether the page is wider than its window."""
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    found = [f"{wide} px wider than its window"] if wide > 0 else []
    page.evaluate(axe)
    for violation in page.evaluate("axe.run(document).then(r => r.violations)"):
        places = ", ".join(node["target"][0] for node in violation["nodes"][:3])
        found.append(f"axe {violation['id']} ({violation['impact']}): {violation['help']}: {places}")
    return found


def addresses() -> dict[str, str]:
    """The pages by the names of their screenshots."""
    found = {"runbook": "/healthy/runbook"}
    for name, picture in PICTURES.items():
        found[name] = f"/{name}/"
        if name in DEEP:
            found[f"{name}-account"] = f"/{name}/accounts/{picture.accounts[-1].key}"
    return found


def main(axe_file: str, *only: str) -> int:
    """Look at everything, or at the pages that are named."""
    OUT.mkdir(parents=True, exist_ok=True)
    axe, found, looked = Path(axe_file).read_text(), [], 0
    with serving() as base, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for width, scheme in LOOKS:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, bypass_csp=True)
            page = context.new_page()
            for name, path in addresses().items():
                if not only or name in only:
                    found += look(page, base + path, f"{name}-{width}-{scheme}", axe)
                    looked += 1
            context.close()
        browser.close()
    if not found:
        print(f"{looked} pages looked at: axe finds nothing, none is too wide, none asks for anything outside; {OUT}/*.png")
    return 1 if found else 0


def draw(target: str) -> None:
    """The picture of the README: a worker with several troubles."""
    with serving() as base, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1000, "height": 200})
        page.goto(f"{base}/several/?refresh=0")
        page.screenshot(path=target, full_page=True)
        browser.close()


if __name__ == "__main__":
    if sys.argv[1].endswith(".png"):
        draw(sys.argv[1])
    else:
        sys.exit(main(*sys.argv[1:]))
