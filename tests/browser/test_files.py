"""The page's files: what is vendored is what was recorded, what is named is there, and how all of it is served."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from quart import Quart
from quart_trio import QuartTrio

from trialogue_server._surface.page import POLICY, add_page, load_assets
from trialogue_server.page import vendoring

FOLDER = Path(vendoring.__file__).parent


def test_vendored_files_are_those_recorded() -> None:
    found = {path.name: vendoring.sha256(path.read_bytes()) for path in vendoring.FOLDER.iterdir()}
    assert found == vendoring.expected_files()


def test_each_vendored_package_has_a_version_and_a_licence() -> None:
    for package in vendoring.packages():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["version"] in package["file"]
        assert package["sha256"].startswith(package["file"][-13:-3])
        assert package["licence"]
        assert package["licence_files"]


def test_other_bytes_than_recorded_are_refused() -> None:
    with pytest.raises(SystemExit, match="records"):
        vendoring.check("some.js", b"other", vendoring.sha256(b"same"))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.js")), ids=lambda path: path.name)
def test_every_import_names_a_file(path: Path) -> None:
    for name in re.findall(r"""(?:from|(?<!/)import)\s*\(?\s*["']([^"']+)["']""", path.read_text()):
        assert name.startswith("./"), name  # The policy has no room for an import map.
        assert (FOLDER / name).is_file(), name


def test_the_document_holds_nothing_inline_and_names_what_is_there() -> None:
    html = (FOLDER / "index.html").read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", html)
    for name in re.findall(r'(?:href|src)="/page/([^"]+)"', html):
        assert (FOLDER / name).is_file(), name
    preloaded = set(re.findall(r'modulepreload" href="/page/([^"/]+)"', html))
    assert preloaded == {path.name for path in FOLDER.glob("*.js")} - {"start.js"}


def test_everything_that_a_browser_asks_for_is_loaded() -> None:
    wanted = {
        path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in (".js", ".css", ".svg")
    }
    assert wanted <= load_assets().keys()
    assert not {name for name in load_assets() if name.endswith((".py", ".json", ".pyc"))}


# --- how they are served -----------------------------------------------------------------------------------------


@pytest.fixture
def app() -> Quart:
    """An app with nothing but the page."""
    app = QuartTrio(__name__)
    add_page(app)
    return app


@pytest.mark.parametrize("path", ["/", "/c/0192f0a0-0000-7000-8000-000000000000"])
async def test_the_document_is_served_under_the_policy(app: Quart, path: str) -> None:
    response = await app.test_client().get(path)
    assert response.status_code == 200
    assert response.headers["Content-Security-Policy"] == POLICY
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert response.headers["Cache-Control"] == "no-cache"
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"


async def test_what_carries_its_hash_is_kept_for_ever(app: Quart) -> None:
    names = [name for name in load_assets() if re.search(r"-[0-9a-f]{10}\.js$", name)]
    assert len(names) == len(vendoring.packages())
    for name in names:
        response = await app.test_client().get(f"/page/{name}")
        assert "immutable" in response.headers["Cache-Control"]


async def test_an_unchanged_file_is_not_sent_again(app: Quart) -> None:
    first = await app.test_client().get("/page/app.js")
    again = await app.test_client().get("/page/app.js", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, await again.get_data()) == (304, b"")
    other = await app.test_client().get("/page/app.js", headers={"If-None-Match": 'W/"other"'})
    assert other.status_code == 200


async def test_files_are_compressed_for_those_who_can_read_it(app: Quart) -> None:
    plain = await app.test_client().get("/page/app.js")
    packed = await app.test_client().get("/page/app.js", headers={"Accept-Encoding": "br, gzip"})
    refused = await app.test_client().get("/page/app.js", headers={"Accept-Encoding": "gzip;q=0"})
    assert packed.headers["Content-Encoding"] == "gzip"
    unpacked = gzip.decompress(await packed.get_data(as_text=False))
    assert unpacked == await plain.get_data() == await refused.get_data()
    assert "Accept-Encoding" in packed.headers["Vary"]


@pytest.mark.parametrize("path", ["vendoring.py", "vendor.json", "../_page.py", "%2e%2e/_page.py", "nothing.js"])
async def test_nothing_else_is_served(app: Quart, path: str) -> None:
    assert (await app.test_client().get(f"/page/{path}")).status_code == 404


async def test_the_icon_stands_where_browsers_look(app: Quart) -> None:
    response = await app.test_client().get("/favicon.ico")
    assert (response.status_code, response.headers["Content-Type"]) == (200, "image/svg+xml")
