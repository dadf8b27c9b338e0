"""Asks a real server what the OpenAPI document allows, and what it does not: ``python tests/fuzzing.py [options]``.

Schemathesis makes the requests and holds every answer against the document, with all its checks. Options go to it:
``--max-examples=200``, ``--include-path-regex=search``, ``--seed=1``. It asks in the name of an account of the server's own,
by an API key with every scope, and by a session where a key is not enough.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx2
from served import Server

#: Left out are the streams, whose answers do not end, and what would end the session in use; other tests ask for these.
OPTIONS = (
    "--exclude-path-regex=/events$|/api/ws$",
    "--exclude-operation-id=devices.end_session",
    "--checks=all",
    "--continue-on-failure",
    "--suppress-health-check=all",
    "--no-color",
)
#: What may come of a request that the document allows: 422 as well, since a value can have the right form and mean nothing,
#: such as the cursor of another list; so can the tag of another version, which is 412.
CONFIGURATION = """\
[auth.openapi.key]
bearer = "{key}"

[auth.openapi.session]
api_key = "{session}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", "401", "403", "404", "409", "412", "422", "429", "503"]
"""
SETTINGS = {"rate_per_user": "0", "rate_per_key": "0", "rate_per_address": "0", "log_requests": "false"}


def main(options: Sequence[str]) -> int:
    """Run it against a fresh server; the exit code is Schemathesis' own, or 1 when the server is no longer well."""
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), **SETTINGS)
        try:
            server.start()
            session, key = signed_in(server.url)
            (Path(folder) / "schemathesis.toml").write_text(CONFIGURATION.format(session=session, key=key))
            code = subprocess.run(command(server.url, options), cwd=folder, check=False).returncode
            alive = httpx2.get(f"{server.url}/readyz", trust_env=False).status_code == 200
            if not alive or "Traceback" in server.log():
                print(server.log(), file=sys.stderr)
                return 1
        finally:
            server.close()
    return code


def command(url: str, options: Sequence[str]) -> list[str]:
    """What is run."""
    program = Path(sys.executable).with_name("schemathesis")
    return [str(program), "run", f"{url}/openapi.json", *OPTIONS, *options]


def signed_in(url: str) -> tuple[str, str]:
    """The session and the key of a new account that has something to be asked for."""
    with httpx2.Client(base_url=url, trust_env=False) as client:
        # Not the password of the examples, one of which deletes the account.
        account = {"email": "fuzz@example.org", "password": "incorrect horse", "name": "Fuzz"}
        client.post("/api/auth/register", json=account).raise_for_status()
        wanted = {"name": "fuzz", "scopes": ["read", "write", "admin"]}
        made = client.post("/api/auth/keys", json=wanted).raise_for_status()
        place = client.post("/api/conversations", json={"title": "Tea"}).raise_for_status().headers["location"]
        client.post(f"{place}/messages", json={"text": "What is tea?"}).raise_for_status()
        return client.cookies["trialogue"], made.json()["token"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
