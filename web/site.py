"""What of this folder is the site, and the security headers it must be served with.

The stack publishes `files()` and sets `security_headers(…)`; test servers do the same, so that what passes in Chromium
is what CloudFront serves.
"""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    "": "text/plain; charset=utf-8",  # LICENSE
    ".txt": "text/plain; charset=utf-8",
}


def files(root: Path = ROOT) -> dict[str, tuple[Path, str]]:
    """The site's files: URL path without a leading slash → (file, content type).

    Raises:
        FileNotFoundError: the vendored libraries are not there.
    """
    if not (root / "vendor" / "vendor.lock.json").exists():
        raise FileNotFoundError("web/vendor is missing: run `python web/vendor.py` (make setup does)")
    found = (each for each in sorted(root.rglob("*")) if each.is_file())
    return {
        each.relative_to(root).as_posix(): (each, TYPES[each.suffix])
        for each in found
        if each.suffix in TYPES and not any(part == "vendor.new" for part in each.parts)
    }


def import_map_hash(html: str) -> str:
    """The CSP source expression of the inline import map, the page's only inline script."""
    found = re.search(r'<script type="importmap">(.*?)</script>', html, re.DOTALL)
    if found is None:
        raise ValueError("index.html has no import map")
    return f"'sha256-{base64.b64encode(hashlib.sha256(found[1].encode()).digest()).decode()}'"


def content_security_policy(connect: Iterable[str] = (), html: str | None = None) -> str:
    """The page's policy: own scripts and styles only, no eval, no inline code but the import map.

    Args:
        connect: origins the page calls besides its own, such as the API's and the Cognito domain's.
        html: index.html, when it is not the one in this folder.
    """
    page = (ROOT / "index.html").read_text() if html is None else html
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {import_map_hash(page)}",
            "style-src 'self'",
            "img-src 'self' data: blob:",
            "connect-src " + " ".join(("'self'", *sorted(set(connect)))),
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


def security_headers(connect: Iterable[str] = ()) -> dict[str, str]:
    """Every header the site is served with, besides content type and caching."""
    return {
        "Content-Security-Policy": content_security_policy(connect),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        "Referrer-Policy": "no-referrer",
        "Strict-Transport-Security": "max-age=63072000; includeSubDomains",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
