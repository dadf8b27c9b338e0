"""Our own plugins in the conformance kits of their ports: sources of tools, logins, extractors, the embedder."""

from __future__ import annotations

import io
import sys
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest
import trio
from pdfs import pdf
from PIL import Image
from plugins.oidc.real import CLIENT, SECRET, open_provider, query_of, walk
from plugins.test_documents import docx, paragraph

import trialogue_documents
from trialogue import Embedder, Extractor, HeaderLogin, Identity, Person, load_plugins
from trialogue.testing.embedder_kit import EmbedderKit
from trialogue.testing.extractor_kit import ExtractorKit
from trialogue.testing.login_kits import CALLBACK, HeaderLoginKit, LoginCase, RedirectLoginKit
from trialogue.testing.tool_source_kit import SourceCase, ToolSourceKit
from trialogue_mcp import McpServer, McpSource
from trialogue_minilm import MiniLMEmbedder, _requirements
from trialogue_oidc import trialogue_redirect_logins
from trialogue_proxy import trialogue_header_logins

SERVER = str(Path(__file__).parent / "mcp/stdio_server.py")
EXTRACTORS = {one.name: one for one in trialogue_documents.trialogue_extractors()}


class TestMcp(ToolSourceKit):
    folder: Path

    @pytest.fixture(autouse=True)
    def _folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    @asynccontextmanager
    async def open_source(self) -> AsyncGenerator[SourceCase]:
        command, env = (sys.executable, SERVER), {"STATE": str(self.folder / "state"), "TOKEN": "abcdefgh-secret"}
        server = McpServer(name="probe", command=command, env=env, start_timeout=30, tools=("add", "boom"))
        source = McpSource(server)

        async def disturb() -> None:
            connection = source._connection
            if connection is not None:
                connection.end("the test ended it")

        yield SourceCase(source, frozenset({"probe__add", "probe__boom"}), disturb)


class TestOidc(RedirectLoginKit):
    issuer: ClassVar[str]

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _provider(cls) -> Iterator[None]:
        with open_provider(CALLBACK) as cls.issuer:
            yield

    @asynccontextmanager
    async def open_login(self) -> AsyncGenerator[LoginCase]:
        settings = {"ISSUER": self.issuer, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET}
        variables = {f"TRIALOGUE_OIDC_WORK_{name}": value for name, value in settings.items()}
        (login,) = trialogue_redirect_logins({"TRIALOGUE_OIDC_PROVIDERS": "work", **variables})

        async def visit(url: str) -> Mapping[str, str]:
            async with httpx2.AsyncClient() as browser:
                return query_of(await walk(browser, url, CALLBACK, "ada"))

        def refusal(url: str) -> Mapping[str, str]:
            return {"state": query_of(url)["state"], "error": "access_denied"}

        async with aclosing(login):
            yield LoginCase(
                login, visit, Person(Identity(self.issuer, "ada"), "ada@example.org", True, "Person ada"), refusal
            )


class TestProxy(HeaderLoginKit):
    headers: ClassVar[Mapping[str, str]] = {
        "remote-user": "ada",
        "remote-email": "ada@example.org",
        "remote-name": "Ada",
    }
    person = Person(Identity("proxy", "ada"), "ada@example.org", True, "Ada")
    decisive = "remote-user"

    def login(self) -> HeaderLogin:
        (login,) = trialogue_header_logins(
            {
                "TRIALOGUE_PROXY_USER_HEADER": "Remote-User",
                "TRIALOGUE_PROXY_EMAIL_HEADER": "Remote-Email",
                "TRIALOGUE_PROXY_NAME_HEADER": "Remote-Name",
            }
        )
        return login


class TestText(ExtractorKit):
    extractor: ClassVar[Extractor] = EXTRACTORS["text"]
    file = "Grüße aus Zürich. ".encode() * 20
    says: ClassVar[Mapping[str, object]] = {"text": "Grüße aus Zürich."}
    reads_anything = True


class TestHtml(ExtractorKit):
    extractor: ClassVar[Extractor] = EXTRACTORS["html"]
    file = b"<!doctype html><title>No</title><h1>Head &amp; shoulders</h1><p>One <b>two</b>" + b"<p>more" * 20
    says: ClassVar[Mapping[str, object]] = {"text": "Head & shoulders\nOne two"}
    reads_anything = True


class TestDocx(ExtractorKit):
    extractor: ClassVar[Extractor] = EXTRACTORS["docx"]
    file = docx(paragraph("Dear Ada") + paragraph("it rains") * 50)
    says: ClassVar[Mapping[str, object]] = {"text": "Dear Ada\nit rains"}
    unreadable = (docx("<w:p>"),)


class TestPdf(ExtractorKit):
    extractor: ClassVar[Extractor] = EXTRACTORS["pdf"]
    file = pdf("Dear Ada, it rains")
    says: ClassVar[Mapping[str, object]] = {"text": "Dear Ada, it rains"}


def picture() -> bytes:
    out = io.BytesIO()
    Image.effect_noise((90, 60), 50).save(out, "PNG")
    return out.getvalue()


class TestImage(ExtractorKit):
    extractor: ClassVar[Extractor] = EXTRACTORS["image"]
    file = picture()
    says: ClassVar[Mapping[str, object]] = {"width": 90, "height": 60}


@pytest.mark.skipif("minilm" in load_plugins().set_aside, reason="the embedder is not installed")
class TestMiniLM(EmbedderKit):
    near = ("How do I get rid of aphids on my roses?", "insects eat my flowers")
    far = "When does the train leave?"
    # Its process answers what it was sent, and who gave up waits for that, so that the next one does not get it.
    let_go = 5.0

    @asynccontextmanager
    async def open_embedder(self) -> AsyncGenerator[Embedder]:
        async with aclosing(MiniLMEmbedder(*_requirements.find_data())) as embedder:
            yield embedder
            await trio.lowlevel.checkpoint()
