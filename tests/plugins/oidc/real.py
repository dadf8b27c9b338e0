"""A real OpenID provider on loopback, and a person with a browser who logs in at it."""

from __future__ import annotations

import html
import os
import re
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import httpx2
from node_tools import FOLDER, NODE, need_packages

SCRIPT = Path(__file__).with_name("provider.mjs")
CLIENT, SECRET = "trialogue", "a client's secret: +/%"


@contextmanager
def open_provider(callback: str, *, thin_tokens: bool = False) -> Generator[str]:
    """A provider with one client that may be called back at ``callback``, for the block; gives its issuer."""
    need_packages()
    environment = os.environ | {"NODE_FOLDER": str(FOLDER), "THIN_TOKENS": "1" if thin_tokens else "0"}
    command: list[str | Path] = [NODE, SCRIPT, CLIENT, SECRET, callback]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


async def walk(browser: httpx2.AsyncClient, url: str, until: str, person: str) -> str:
    """Follow what the provider's pages ask for, logging in as ``person``, until an address that begins with ``until``."""
    form: dict[str, str] | None = None
    for _ in range(20):
        answer = await (browser.get(url) if form is None else browser.post(url, data=form))
        form = None
        if answer.is_redirect:
            url = urljoin(url, answer.headers["location"])
            if url.startswith(until):
                return url
            continue
        action = re.search(r'<form[^>]*action="([^"]*)"', answer.text)
        assert action is not None, answer.text
        form = dict(re.findall(r'<input[^>]*type="hidden"[^>]*name="(\w+)"[^>]*value="([^"]*)"', answer.text))
        if 'name="login"' in answer.text:
            form |= {"login": person, "password": "any"}
        url = urljoin(url, html.unescape(action[1]))
    raise AssertionError("it never came back")


def query_of(url: str) -> dict[str, str]:
    """The parameters of an address."""
    return dict(parse_qsl(urlsplit(url).query))
