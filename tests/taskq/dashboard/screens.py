"""The dashboard in a browser: at which sizes, and what axe finds there."""

from __future__ import annotations

from pathlib import Path

from tests.site import devtools

_AXE = Path(devtools.__file__).with_name("vendor") / "axe.min.js"
#: Width, height, dark, phone.
SCREENS = {
    "light": (1280, 820, False, False),
    "dark": (1280, 820, True, False),
    "phone": (320, 640, False, True),
    "dark phone": (320, 640, True, True),
}


def violations(browser):
    """What axe finds on the page: how bad it is, the rule, the element, and what to do."""
    browser.run(_AXE.read_text())
    return browser.run(
        "axe.run().then(({violations}) => violations.map(({id, impact, nodes}) =>"
        " [impact, id, nodes[0].html, nodes[0].failureSummary]))"
    )
