"""A browser that does what a test says: pages opened, clicked, looked at and photographed.

It speaks Chromium's DevTools protocol over a pipe, so nothing but the browser is needed.
"""

from __future__ import annotations

import base64
import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .browser import command

#: Seconds for an answer of the browser, or for what a page is waited for. The machine may be busy.
PATIENCE = 60.0


class Browser:
    """A browser with one page.

    Attributes:
        complaints: What pages said on the console, and their errors.
        hosts: The hosts, with ports, that were asked for something.
    """

    def __init__(self, profile: Path) -> None:
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._rest = b""
        self._loaded = False
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        # The browser reads commands from 3 and writes answers to 4. A shell moves them there.
        script = f'exec "$@" 3<&{commands} 4>&{answers}'
        line = command(profile, "--remote-debugging-pipe", "about:blank")
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *line],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(commands)
        os.close(answers)
        (target,) = (
            each
            for each in self._ask("Target.getTargets", session=None)["targetInfos"]
            if each["type"] == "page"
        )
        attached = {"targetId": target["targetId"], "flatten": True}
        self._session = self._ask("Target.attachToTarget", attached, session=None)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def close(self) -> None:
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        os.close(self._in)
        os.close(self._out)

    def look_like(
        self, width: int, height: int, *, dark: bool = False, phone: bool = False, scale: float = 1
    ) -> None:
        """Be a screen of so many pixels, light or dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": phone}
        self._ask("Emulation.setDeviceMetricsOverride", metrics)
        self._ask("Emulation.setScrollbarsHidden", {"hidden": True})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._ask("Emulation.setEmulatedMedia", {"features": [scheme]})

    def set_cookie(self, url: str, name: str, value: str) -> None:
        self._ask("Network.setCookie", {"url": url, "name": name, "value": value})

    def open(self, url: str) -> None:
        """Open a page, and wait until it is loaded."""
        self._loaded = False
        found = self._ask("Page.navigate", {"url": url})
        assert "errorText" not in found, found
        self._wait_loaded(url)

    def reload(self) -> None:
        self._loaded = False
        self._ask("Page.reload")
        self._wait_loaded("the page")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression, which may be a promise."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        found = self._ask("Runtime.evaluate", asked)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def click(self, selector: str) -> None:
        """Click in the middle of an element, as a person does."""
        place = self.run(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)});"
            "if (!found) return null; found.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const box = found.getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        assert place is not None, f"the page has no {selector}"
        at = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
        self._ask("Input.dispatchMouseEvent", {"type": "mousePressed", **at})
        self._ask("Input.dispatchMouseEvent", {"type": "mouseReleased", **at})

    def press(self, key: str) -> None:
        """Press a key that writes nothing, such as Tab or Enter."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27}[key]
        given = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        if key == "Enter":
            given["text"] = "\r"
        self._ask("Input.dispatchKeyEvent", {"type": "keyDown", **given})
        self._ask("Input.dispatchKeyEvent", {"type": "keyUp", **given})

    def wait_for(self, script: str, *, seconds: float = PATIENCE) -> Any:
        """The first true value of an expression."""
        until = time.monotonic() + seconds
        while not (found := self.run(script)):
            assert time.monotonic() < until, f"not within {seconds} s: {script}\n{self.text()}"
            self._hear(0.05)
        return found

    def wait_for_text(self, text: str, *, seconds: float = PATIENCE) -> None:
        """Wait until a person can read this. A page that is just being loaded has no body."""
        self.wait_for(f"document.body?.innerText.includes({json.dumps(text)})", seconds=seconds)

    def text(self) -> str:
        """What a person reads."""
        return str(self.run("document.body.innerText"))

    def photograph(self, picture: Path, *, whole: bool = False) -> None:
        """A picture of the screen, or of the whole page, as PNG."""
        options: dict[str, Any] = {"format": "png", "captureBeyondViewport": whole}
        if whole:
            size = self._ask("Page.getLayoutMetrics")["cssContentSize"]
            options["clip"] = {**size, "scale": 1}
        picture.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", options)["data"]))

    def _wait_loaded(self, what: str) -> None:
        until = time.monotonic() + PATIENCE
        while not self._loaded:
            assert time.monotonic() < until, f"{what} was not loaded within {PATIENCE} s"
            self._hear(0.2)

    def _ask(
        self, method: str, given: dict[str, Any] | None = None, *, session: str | None = ""
    ) -> dict[str, Any]:
        """Send a command, and wait for its answer. session: None for the browser itself."""
        self._number += 1
        number = self._number
        message: dict[str, Any] = {"id": number, "method": method, "params": given or {}}
        if session is not None:
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE
        while number not in self._answers:
            assert time.monotonic() < until, f"the browser did not answer {method}"
            self._hear(0.2)
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        found: dict[str, Any] = answer["result"]
        return found

    def _hear(self, seconds: float) -> None:
        """Read what the browser says within some seconds, or at once."""
        if not select.select([self._in], [], [], seconds)[0]:
            return
        *messages, self._rest = (self._rest + os.read(self._in, 1 << 20)).split(b"\0")
        for message in map(json.loads, messages):
            if "id" in message:
                self._answers[message["id"]] = message
            else:
                self._note(message["method"], message["params"])

    def _note(self, event: str, given: dict[str, Any]) -> None:
        match event:
            case "Page.loadEventFired":
                self._loaded = True
            case "Runtime.consoleAPICalled":
                self.complaints.append(json.dumps(given["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(given["exceptionDetails"]))
            case "Log.entryAdded":
                entry = given["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            case "Network.requestWillBeSent":
                if netloc := urlsplit(given["request"]["url"]).netloc:
                    self.hosts.add(netloc)


@contextmanager
def browser(profile: Path) -> Iterator[Browser]:
    """A browser that is closed at the end."""
    found = Browser(profile)
    try:
        yield found
    finally:
        found.close()
