"""The built site in a headless browser: no page is wider than a phone, no table scrolls sideways
at 1,000 pixels, and nothing is asked of another host."""

from __future__ import annotations

import functools
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from .browser import BROWSER, NAMES, command

#: Pixels: a phone, the width at which no table scrolls, a desktop.
PHONE, TABLE, DESKTOP = 390, 1000, 1280
#: Seconds. A machine that is busy takes long for some sixty pages.
PATIENCE = 300
#: The browser refuses the page what is not allowed here, and reports it.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; report-uri /look/refused"

pytestmark = pytest.mark.skipif(BROWSER is None, reason=f"on the path there is none of {NAMES}")


class Server(ThreadingHTTPServer):
    """The site, and the page that looks at it."""

    daemon_threads = True

    def __init__(self, site: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
        self.site = site
        self.refused: list[str] = []
        self.seen: queue.Queue[Any] = queue.Queue()
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(SimpleHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/look/":
            self._answer(Path(__file__).with_name("look.html").read_bytes(), "text/html")
        elif self.path == "/look/wanted":
            site = self.server.site
            found = sorted(site.rglob("index.html"))
            pages = [f"/{page.parent.relative_to(site)}/".replace("/./", "/") for page in found]
            wanted = {"pages": pages, "widths": [PHONE, TABLE, DESKTOP]}
            self._answer(json.dumps(wanted).encode(), "application/json")
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/look/refused":
            self.server.refused.append(body["csp-report"]["blocked-uri"])
        else:
            self.server.seen.put(body)
        self._answer(b"", "text/plain")

    def _answer(self, body: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", POLICY)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test says what is wrong."""


@pytest.fixture(scope="module")
def server(site: Path) -> Iterator[Server]:
    found = Server(site)
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


@pytest.fixture(scope="module")
def seen(server: Server, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """How each page was seen in each width."""
    start = command(
        tmp_path_factory.mktemp("profile"), "--window-size=1400,1000", f"{server.address}/look/"
    )
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    browser = subprocess.Popen(start, start_new_session=True, **quiet)
    try:
        found = server.seen.get(timeout=PATIENCE)
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()
    assert isinstance(found, list), found
    return found


def test_each_page_is_seen_in_each_width(seen, server):
    pages = len(list(server.site.rglob("index.html")))
    assert pages > 20
    assert len(seen) == 3 * pages
    assert all(each["shown"] == each["width"] and "taskq" in each["title"] for each in seen)


@pytest.mark.parametrize("width", [PHONE, TABLE, DESKTOP])
def test_no_page_scrolls_sideways(seen, width):
    assert not [
        each["page"] for each in seen if each["width"] == width and "the page" in each["wide"]
    ]


@pytest.mark.parametrize("width", [TABLE, DESKTOP])
def test_no_table_scrolls_sideways(seen, width):
    found = [(each["page"], each["wide"]) for each in seen if each["width"] == width]
    assert not [each for each in found if each[1]]


def test_nothing_is_asked_of_another_host(seen, server):
    assert server.refused == []
