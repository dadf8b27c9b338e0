"""A plain client of the REST API, for setting the stage; the load itself comes from elsewhere."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Account:
    """Somebody who is logged in."""

    email: str
    cookie: str


class Client:
    """One connection at a time to a server on this machine."""

    def __init__(self, port: int) -> None:
        self.port = port

    def call(self, method: str, path: str, body: object = None, cookie: str = "") -> tuple[int, dict[str, str], Any]:
        """A request and its answer: status, headers in lower case, and the JSON body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Connection": "close", "Accept": "application/json"}
            if cookie:
                headers["Cookie"] = cookie
            if body is not None:
                headers["Content-Type"] = "application/json"
            connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)
            answer = connection.getresponse()
            data = answer.read()
            return (
                answer.status,
                {name.lower(): value for name, value in answer.getheaders()},
                json.loads(data or b"null"),
            )
        finally:
            connection.close()

    def must(self, method: str, path: str, body: object = None, cookie: str = "") -> Any:
        """Like ``call``, but only the body, and only when it went well."""
        status, _, answer = self.call(method, path, body, cookie)
        if status >= 300:
            raise RuntimeError(f"{method} {path} answered {status}: {answer}")
        return answer

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Return when the server says that it is ready."""
        deadline = time.monotonic() + seconds
        while self.call("GET", "/readyz")[0] != 200:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server on port {self.port} is not ready: {self.call('GET', '/readyz')}")
            time.sleep(0.02)

    def register(self, email: str = "bench@example.org") -> Account:
        """A new account, logged in."""
        body = {"email": email, "password": "correct horse battery staple", "name": "Bench"}
        status, headers, answer = self.call("POST", "/api/auth/register", body)
        if status != 201:
            raise RuntimeError(f"registering answered {status}: {answer}")
        return Account(email, headers["set-cookie"].partition(";")[0])

    def me(self, account: Account) -> str:
        """The id of an account."""
        return str(self.must("GET", "/api/auth/me", None, account.cookie)["id"])

    def create_conversations(self, account: Account, count: int) -> list[str]:
        """So many new, empty conversations."""
        made = (self.must("POST", "/api/conversations", {"title": f"Bench {n}"}, account.cookie) for n in range(count))
        return [str(conversation["id"]) for conversation in made]
