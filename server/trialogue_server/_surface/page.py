"""Serves the web page: static files of the ``page`` folder, read once, under a strict Content-Security-Policy.

Everything the page knows it learns through the API, so nothing here depends on who asks. Unknown paths are left to the
application's own 404.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from quart import Quart, Response, abort, request

#: No inline script or style, nothing from elsewhere, no HTML but through DOMPurify's Trusted Types policy. The sanitiser
#: makes its policy once per document; 'allow-duplicates' covers pages that are restored while a second copy loads.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types dompurify 'allow-duplicates'",
    )
)
#: What is served; the vendoring script and its record stand in the same folder and are not.
MEDIA_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
#: A vendored module carries ten digits of its hash in its name: other bytes have another name.
_HASHED = re.compile(r"-[0-9a-f]{10}\.js$")


@dataclass(frozen=True)
class Asset:
    """One file as it is sent, plain and compressed. The etag is of the plain bytes, hence weak: both mean the same."""

    body: bytes
    packed: bytes
    etag: str
    media_type: str
    caching: str


def load_assets() -> dict[str, Asset]:
    """Every file that the page consists of, by its path below the ``page`` folder."""
    assets: dict[str, Asset] = {}

    def visit(folder: Traversable, prefix: str) -> None:
        for entry in folder.iterdir():
            suffix = entry.name[entry.name.rfind(".") :]
            if entry.is_dir():
                visit(entry, f"{prefix}{entry.name}/")
            elif suffix in MEDIA_TYPES:
                assets[prefix + entry.name] = _asset(entry.name, MEDIA_TYPES[suffix], entry.read_bytes())

    visit(files("trialogue_server") / "page", "")
    return assets


def _asset(name: str, media_type: str, body: bytes) -> Asset:
    caching = "public, max-age=31536000, immutable" if _HASHED.search(name) else "no-cache"
    etag = hashlib.sha256(body).hexdigest()[:32]
    return Asset(body, gzip.compress(body, mtime=0), etag, media_type, caching)


def _respond(asset: Asset) -> Response:
    packed = request.accept_encodings.quality("gzip") > 0
    response = Response(asset.packed if packed else asset.body, content_type=asset.media_type)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = asset.caching
    response.headers["Vary"] = "Accept-Encoding"
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.set_etag(asset.etag, weak=True)
    if request.if_none_match.contains_weak(asset.etag):
        response.status_code = 304
        response.set_data(b"")
    return response


def add_page(app: Quart) -> None:
    """Serve the page at ``/``, ``/c/<conversation>`` and ``/m/<message>``, and those at ``/s/<token>`` and ``/docs``.

    The last two are for what is shared, and for the API. Their files are at ``/page/``; an icon is where browsers look.
    """
    assets = load_assets()

    async def index(conversation: str = "", message: str = "") -> Response:
        return _respond(assets["index.html"])

    async def docs() -> Response:
        return _respond(assets["docs/index.html"])

    async def shared(token: str) -> Response:
        response = _respond(assets["shared/index.html"])
        response.headers["X-Robots-Tag"] = "noindex, nofollow, noarchive"
        return response

    async def icon() -> Response:
        return _respond(assets["icon.svg"])

    async def file(path: str) -> Response:
        if path not in assets:
            abort(404)
        return _respond(assets[path])

    app.add_url_rule("/", "page.index", index)
    app.add_url_rule("/c/<conversation>", "page.conversation", index)
    app.add_url_rule("/m/<message>", "page.message", index)
    app.add_url_rule("/docs", "page.docs", docs)
    app.add_url_rule("/s/<token>", "page.shared", shared)
    app.add_url_rule("/favicon.ico", "page.icon", icon)
    app.add_url_rule("/page/<path:path>", "page.file", file)
