"""The Content-Security-Policy of the pages: scripts and styles are files of the site."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.http import HttpResponseBase
from django.templatetags.static import static


def protect(response: HttpResponseBase) -> None:
    """Set the headers that protect a page. None of them is changed if it is set already."""
    for name, value in {
        "Content-Security-Policy": policy(),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        # Names and arguments of tasks are not for the cache of a proxy.
        "Cache-Control": "private, no-cache",
    }.items():
        response.headers.setdefault(name, value)


def policy() -> str:
    """The policy. Where STATIC_URL is on another host of the site, files may come from there."""
    parts = urlsplit(static("taskq/dashboard/dashboard.css"))
    files = f"'self' {parts.scheme or 'https'}://{parts.netloc}" if parts.netloc else "'self'"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {files}",
            f"style-src {files}",
            f"img-src {files}",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    )
