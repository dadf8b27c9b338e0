"""The server behind a real nginx, as the shipped sites have it: TLS, HTTP/2, streams, WebSockets, uploads, two hops.

client --TLS, HTTP/2--> nginx of the site --> nginx of the second hop --> server
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import trio
from deploy.service import conversation_of, heard
from served import Server
from sockets import Socket, cookies_of

NGINX = Path(__file__).parents[2] / "deploy/nginx"
pytestmark = [
    pytest.mark.skipif(shutil.which("nginx") is None, reason="there is no nginx here: install the package"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl here, to make a certificate with"),
]

MAIN = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    default_type application/octet-stream;
    include {folder}/conf/trialogue-map.conf;
    include {folder}/conf/site.conf;
}}
"""


class Nginx:
    """One of them, with a shipped site: only its ports, its names and its certificate are others."""

    def __init__(self, folder: Path, site: str, replaced: dict[str, str]) -> None:
        folder.mkdir()
        (folder / "conf/snippets").mkdir(parents=True)
        text = (NGINX / site).read_text()
        for old, new in replaced.items():
            assert old in text, old
            text = text.replace(old, new)
        (folder / "conf/site.conf").write_text(text)
        shutil.copy(NGINX / "trialogue-map.conf", folder / "conf")
        shutil.copy(NGINX / "trialogue-proxy.conf", folder / "conf/snippets")
        (folder / "conf/nginx.conf").write_text(MAIN.format(folder=folder))
        self.folder = folder
        self._command = ["nginx", "-p", str(folder), "-c", "conf/nginx.conf", "-e", str(folder / "error.log")]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int) -> None:
        checked = subprocess.run([*self._command, "-t"], capture_output=True, text=True, check=False, timeout=30)
        assert checked.returncode == 0, checked.stderr
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert time.monotonic() < deadline, (self.folder / "error.log").read_text()
                time.sleep(0.02)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Site:
    """What a browser reaches."""

    def __init__(self, port: int, plain: int, certificate: Path) -> None:
        self.port = port
        self.plain = plain
        self._certificate = certificate

    def trust(self) -> ssl.SSLContext:
        """Believes in the site's certificate. A client notes in it which protocols it speaks, so each has its own."""
        return ssl.create_default_context(cafile=str(self._certificate))

    def client(self, *, http2: bool = True, cookies: dict[str, str] | None = None) -> httpx2.Client:
        url = f"https://localhost:{self.port}"
        return httpx2.Client(
            base_url=url, verify=self.trust(), http2=http2, cookies=cookies, timeout=20, trust_env=False
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("nginx")
    certificate, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    outer, plain, inner = free_port(), free_port(), free_port()
    server = Server(folder, public_url=f"https://localhost:{outer}", trusted_proxies="127.0.0.1")
    hops: list[Nginx] = []
    try:
        server.start()
        second = {
            "127.0.0.1:4512": f"127.0.0.1:{server.port}",
            "listen 8080;": f"listen 127.0.0.1:{inner};",
            "    listen [::]:8080;\n": "",
            "allow 192.0.2.10;": "allow 127.0.0.1;",
        }
        first = {
            "127.0.0.1:4512": f"127.0.0.1:{inner}",
            "listen 80;": f"listen 127.0.0.1:{plain};",
            "    listen [::]:80;\n": "",
            "listen 443 ssl http2;": f"listen 127.0.0.1:{outer} ssl http2;",
            "    listen [::]:443 ssl http2;\n": "",
            "chat.example.org;": "localhost;",
            "/etc/letsencrypt/live/chat.example.org/fullchain.pem": str(certificate),
            "/etc/letsencrypt/live/chat.example.org/privkey.pem": str(key),
        }
        hops = [
            Nginx(folder / "inner", "trialogue-inner.conf", second),
            Nginx(folder / "outer", "trialogue.conf", first),
        ]
        hops[0].start(inner)
        hops[1].start(outer)
        yield Site(outer, plain, certificate)
    finally:
        for hop in hops:
            hop.stop()
        server.close()


@pytest.fixture(scope="module")
def ada(site: Site) -> Iterator[httpx2.Client]:
    with site.client() as client:
        body = {"email": "ada@example.org", "password": "correct horse", "name": "Ada"}
        answer = client.post("/api/auth/register", json=body)
        assert answer.status_code == 201
        assert "__Host-" in answer.headers["set-cookie"]
        yield client


def test_http2_and_the_servers_own_headers_arrive(ada: httpx2.Client) -> None:
    answer = ada.get("/api/auth/me")
    assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
    assert answer.headers["strict-transport-security"]


def test_tokens_arrive_as_they_are_said(ada: httpx2.Client) -> None:
    name = conversation_of(ada, "[[tokens=60 rate=30 numbered]]")
    came: list[float] = []
    with ada.stream("GET", f"/api/conversations/{name}/events") as events:
        assert events.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in events.headers
        for line in events.iter_lines():
            if line == "event: part.delta":
                came.append(time.monotonic())
            if line == "event: run.completed":
                break
    assert len({int(moment * 10) for moment in came}) >= 5, "two seconds of tokens came in a few bursts"


def test_silent_stream_gives_signs_of_life(ada: httpx2.Client) -> None:
    name = ada.post("/api/conversations", json={}).json()["id"]
    with ada.stream("GET", f"/api/conversations/{name}/events") as events:
        assert next(events.iter_lines()).startswith(("id:", "event:", "retry:", ":"))


def test_upload_larger_than_nginx_would_have_it(ada: httpx2.Client) -> None:
    content = b"0123456789abcdef" * 2**20
    answer = ada.post("/api/upload", files={"file": ("large.bin", content)})
    assert answer.status_code == 201, answer.text
    back = ada.get(f"/api/files/{answer.json()['files'][0]['id']}")
    assert back.content == content


def test_what_is_too_large_is_said_by_the_server(ada: httpx2.Client, site: Site) -> None:
    # By HTTP/1.1: over HTTP/2 this client goes on sending and does not hear an answer that comes before the end.
    with site.client(http2=False, cookies=dict(ada.cookies)) as client:
        answer = client.post("/api/conversations", content=b'{"title": "' + b"x" * 2_000_000 + b'"}')
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


def test_nodes_are_not_asked_from_outside(ada: httpx2.Client) -> None:
    answer = ada.post("/internal/anything", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html")


def test_long_json_is_compressed(ada: httpx2.Client) -> None:
    answer = ada.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"


def test_nobody_writes_his_own_address(ada: httpx2.Client, site: Site) -> None:
    """The list of a login's origins shows it: it is the address that the first hop saw, whatever the client said."""
    forged = {"x-forwarded-for": "203.0.113.9"}
    body = {"email": "ada@example.org", "password": "correct horse"}
    with site.client() as client:
        assert client.post("/api/auth/login", json=body, headers=forged).status_code == 200
    entries = ada.get("/api/admin/audit").text
    assert "127.0.0.1" in entries
    assert "203.0.113.9" not in entries


def test_http_is_sent_to_https(site: Site) -> None:
    answer = httpx2.get(f"http://127.0.0.1:{site.plain}/api/x?y=1", trust_env=False, headers={"host": "localhost"})
    assert (answer.status_code, answer.headers["location"]) == (301, "https://localhost/api/x?y=1")


async def test_websocket_passes_both_hops(ada: httpx2.Client, site: Site) -> None:
    name = ada.post("/api/conversations", json={}).json()["id"]
    with trio.fail_after(30):
        stream = await trio.open_ssl_over_tcp_stream(
            "localhost", site.port, ssl_context=site.trust(), https_compatible=True
        )
        async with stream:
            socket_ = Socket(stream)
            headers = {"Cookie": cookies_of(ada), "Origin": f"https://localhost:{site.port}"}
            await socket_.shake_hands(headers, ["trialogue.v1"], "/api/ws")
            await socket_.say(type="hello")
            await socket_.hear_until("ready")
            await socket_.say(type="subscribe", id="1", conversation=name)
            await socket_.hear_until("snapshot")
            body = {"text": "[[tokens=10 rate=50]]"}
            await socket_.say(type="command", id="2", command="post", conversation=name, body=body)
            await socket_.hear_until("run.completed")


def test_answer_goes_on_when_its_reader_leaves(ada: httpx2.Client) -> None:
    name = conversation_of(ada, "[[tokens=40 rate=40 numbered]]")
    with ada.stream("GET", f"/api/conversations/{name}/events") as events:
        for line in events.iter_lines():
            if line == "event: part.delta":
                break
    heard(ada, name)
    parts = ada.get(f"/api/conversations/{name}").json()["messages"][1]["parts"]
    assert "".join(part["text"] for part in parts) == "".join(f"{n} " for n in range(40))
