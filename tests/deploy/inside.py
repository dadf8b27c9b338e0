"""Runs inside a booted machine, as its root, with nothing but Python: installs the service and ill-treats it.

What came of each check goes into a file that ``test_systemd`` reads outside.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

PORT = 4512
UNIT = "trialogue.service"
SOURCE = Path("/src")
ETC = Path("/etc/trialogue")
RESULTS = Path("/results.json")
NOTES = Path("/notes.txt")
#: By how much all patience is stretched: a processor that is emulated takes its time.
SLOWER = float(os.environ.get("SLOWER", "1"))
COOKIE = ""


def run(*words: str, timeout: float = 300, check: bool = True) -> str:
    """A command's output, both of it; it must succeed unless told otherwise."""
    environment = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PATIENCE": "60"}
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout * SLOWER, check=False, env=environment)
    said = done.stdout + done.stderr
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)} exited with {done.returncode}:\n{said[-2000:]}")
    return said


def note(text: str) -> None:
    """Have it told outside."""
    with NOTES.open("a") as file:
        print(text, file=file)


def show(name: str, unit: str = UNIT) -> str:
    return run("systemctl", "show", "--value", "-p", name, unit).strip()


def until(met: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds * SLOWER
    while not met():
        if time.monotonic() > deadline:
            raise AssertionError("it did not come to pass in time")
        time.sleep(0.05)


def call(method: str, path: str, body: object = None, port: int = PORT) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOWER)
    try:
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {"content-type": "application/json", "cookie": COOKIE})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status >= 300:
            raise AssertionError(f"{method} {path} answered {answer.status}: {text}")
        if path == "/api/auth/register":
            return answer.headers["set-cookie"].partition(";")[0]
        return json.loads(text or "null")
    finally:
        connection.close()


def ready() -> bool:
    """Whether it says so. It serves before, but a machine that is busy may have its loop late for a moment."""
    try:
        return bool(call("GET", "/readyz")["status"] == "ok")
    except AssertionError:
        return False


def ask(text: str, **more: str) -> str:
    """A new conversation in which that is being answered."""
    name: str = call("POST", "/api/conversations", {})["id"]
    call("POST", f"/api/conversations/{name}/messages", {"text": text, **more})
    return name


def events(conversation: str) -> Iterator[str]:
    """What a reader is told, over as many connections as it takes, until the answer is at its end."""
    cursor, came = "", 0.0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60 * SLOWER)
        try:
            headers = {"cookie": COOKIE, **({"last-event-id": cursor} if cursor else {})}
            connection.request("GET", f"/api/conversations/{conversation}/events", headers=headers)
            for line in connection.getresponse():
                if line.startswith(b"id: "):
                    cursor = line[4:].decode().strip()
                elif line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                    if came and kind != "reconnect":
                        SILENCES.append(time.monotonic() - came)
                    came = time.monotonic()
                    yield kind
                    if kind.startswith("run.") and kind not in ("run.started", "run.interrupted"):
                        return
        except (ConnectionResetError, http.client.HTTPException):
            pass
        finally:
            connection.close()


SILENCES: list[float] = []


def text_of(conversation: str) -> str:
    answer = call("GET", f"/api/conversations/{conversation}")["messages"][1]
    return "".join(part.get("text", "") for part in answer["parts"])


def counted(tokens: int) -> str:
    return "".join(f"{number} " for number in range(tokens))


def reads(conversation: str, heard: list[list[str]]) -> threading.Thread:
    def follow() -> None:
        heard.append(list(events(conversation)))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


# --- the checks, in their order ----------------------------------------------------------------------------------


def installs_and_serves() -> None:
    global COOKIE
    run("sh", str(SOURCE / "deploy/install"), "1.0")
    until(ready)
    assert show("ActiveState") == "active"
    assert "answering with" in show("StatusText")
    COOKIE = call("POST", "/api/auth/register", {"email": "a@b.org", "password": "correct horse", "name": "A"})
    run("sh", str(SOURCE / "deploy/install"), "1.0")


def is_shut_in() -> None:
    said = run("systemd-analyze", "security", "--threshold=20", UNIT)
    note(said.splitlines()[-1])
    environment = Path(f"/proc/{show('MainPID')}/status").read_text()
    assert "Seccomp:\t2" in environment
    assert "NoNewPrivs:\t1" in environment
    assert show("User") == "trialogue"


def answers_with_the_model_that_comes_along() -> None:
    """Its native code runs under all that is forbidden."""
    assert "local:" in show("StatusText"), show("StatusText")
    name = ask("Say hello.")
    kinds = list(events(name))
    assert kinds[-1] == "run.completed", kinds[-5:]
    assert text_of(name)


def reads_files_in_the_background() -> None:
    """In a child with bounds of its own."""
    body = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.html"\r\n\r\n<p>hello there</p>\r\n--x--\r\n'
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    headers = {"content-type": "multipart/form-data; boundary=x", "cookie": COOKIE}
    connection.request("POST", "/api/upload", body, headers)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    name = answer["files"][0]["id"]

    def listed() -> Any:
        return next(one for one in call("GET", "/api/files")["files"] if one["id"] == name)

    until(lambda: "pending" not in json.dumps(listed()), 60)
    assert "failed" not in json.dumps(listed()), listed()


def secret_arrives_and_is_nowhere_to_be_seen() -> None:
    secret = ETC / "credentials/TRIALOGUE_DEFAULT_MODEL"
    secret.write_text("echo:echo\n")
    secret.chmod(0o600)
    run("systemctl", "restart", UNIT)
    assert "answering with echo:echo" in show("StatusText")
    assert b"echo:echo" not in Path(f"/proc/{show('MainPID')}/environ").read_bytes()
    assert "DEFAULT_MODEL" not in run("systemctl", "show", "-p", "Environment", UNIT)
    # Another account cannot read where systemd has put it.
    there = f"/run/credentials/{UNIT}/env_TRIALOGUE_DEFAULT_MODEL"
    assert run("setpriv", "--reuid=65534", "--clear-groups", "cat", there, check=False) != "echo:echo\n"


def socket_starts_it() -> None:
    run("systemctl", "stop", UNIT)
    assert show("ActiveState") == "inactive"
    began = time.monotonic()
    assert call("GET", "/healthz") == {"status": "ok"}
    note(f"first answer after {time.monotonic() - began:.2f} s")
    assert show("ActiveState") == "active"


def start_returns_when_it_serves() -> None:
    run("systemctl", "stop", "trialogue.socket", UNIT)
    began = time.monotonic()
    run("systemctl", "start", UNIT)
    took = time.monotonic() - began
    assert call("GET", "/healthz") == {"status": "ok"}
    note(f"started in {took:.2f} s")


def comes_back_when_it_was_killed() -> None:
    name = ask("[[tokens=200 rate=50 numbered]]")
    time.sleep(1)
    os.kill(int(show("MainPID")), signal.SIGKILL)
    until(lambda: show("NRestarts") == "1" and show("ActiveState") == "active")
    assert list(events(name))[-1] == "run.completed"
    assert text_of(name) == counted(200)


def comes_back_when_it_hangs() -> None:
    folder = Path(f"/run/systemd/system/{UNIT}.d")
    folder.mkdir(parents=True)
    (folder / "watchdog.conf").write_text("[Service]\nWatchdogSec=3\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", UNIT)
    before = show("MainPID")
    time.sleep(5)
    assert show("MainPID") == before  # It was fed.
    os.kill(int(before), signal.SIGSTOP)
    until(lambda: show("MainPID") not in (before, "0") and show("ActiveState") == "active", 40)
    assert "watchdog" in run("journalctl", "-u", UNIT, "-n", "60", "--no-pager").lower()
    (folder / "watchdog.conf").unlink()
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", UNIT)


def stop_lets_an_answer_end() -> None:
    name = ask("[[tokens=100 rate=50 numbered]]")
    heard: list[list[str]] = []
    reader = reads(name, heard)
    time.sleep(0.5)
    began = time.monotonic()
    run("systemctl", "stop", UNIT)
    note(f"stopped after {time.monotonic() - began:.2f} s")
    reader.join(20)
    assert heard[0][-1] == "run.completed"
    assert "run.interrupted" not in heard[0]
    assert show("Result") == "success"
    run("systemctl", "start", UNIT)


def _under_load(change: Callable[[], object], streams: int = 20) -> None:
    """Do it while so many answers are written; nobody may notice."""
    SILENCES.clear()
    names = [ask("[[tokens=400 rate=40 numbered]]") for _ in range(streams)]
    heard: list[list[str]] = []
    readers = [reads(name, heard) for name in names]
    time.sleep(1)
    before = show("MainPID")
    change()
    assert show("MainPID") != before
    for reader in readers:
        reader.join(60)
    assert len(heard) == streams
    assert all(kinds[-1] == "run.completed" and "run.interrupted" not in kinds for kinds in heard)
    assert all(text_of(name) == counted(400) for name in names)
    note(f"longest silence {max(SILENCES):.2f} s")
    assert max(SILENCES) <= 1.0


def upgrade_cuts_nobody_off() -> None:
    _under_load(lambda: run("sh", str(SOURCE / "deploy/upgrade"), "2.0"))
    assert str(Path("/opt/trialogue/current").readlink()) == "2.0"
    executable = Path(f"/proc/{show('MainPID')}/cmdline").read_bytes()
    assert b"/opt/trialogue/2.0/" in executable, executable
    assert show("NRestarts") == "0"


def upgrade_that_cannot_serve_changes_nothing() -> None:
    settings = ETC / "trialogue.toml"
    text = settings.read_text()
    settings.write_text("prot = 80\n")
    before = show("MainPID")
    said = run("sh", str(SOURCE / "deploy/rollback"), check=False)
    settings.write_text(text)
    assert "nothing was changed" in said, said
    assert "did you mean port?" in run("journalctl", "-u", "trialogue-fits", "-n", "10", "--no-pager")
    assert show("MainPID") == before
    assert str(Path("/opt/trialogue/current").readlink()) == "2.0"
    until(ready)


def rollback_cuts_nobody_off() -> None:
    _under_load(lambda: run("sh", str(SOURCE / "deploy/rollback")), streams=5)
    assert str(Path("/opt/trialogue/current").readlink()) == "1.0"


def rollback_behind_a_migration_is_refused() -> None:
    before = show("MainPID")
    with closing(sqlite3.connect("/var/lib/trialogue/trialogue.db")) as database:
        database.execute("INSERT INTO migration VALUES (9000, 'more', 'x', 0)")
        database.commit()
        said = run("sh", str(SOURCE / "deploy/rollback"), check=False)
        database.execute("DELETE FROM migration WHERE number = 9000")
        database.commit()
    assert "nothing was changed" in said, said
    assert "newer version" in run("journalctl", "-u", "trialogue-fits", "-n", "10", "--no-pager")
    assert show("MainPID") == before
    assert str(Path("/opt/trialogue/current").readlink()) == "1.0"


def root_administers_it_while_it_serves() -> None:
    """In the service's own user namespace root is root."""
    command = ["env", "TRIALOGUE_DATA_DIR=/var/lib/trialogue", "/opt/trialogue/current/bin/trialogue", "users", "list"]
    assert "a@b.org" in run(*command)


def successor_is_watched_too() -> None:
    os.kill(int(show("MainPID")), signal.SIGKILL)
    until(lambda: show("NRestarts") == "1" and show("ActiveState") == "active")
    until(ready)


def hypercorn_serves_the_same() -> None:
    run("systemctl", "start", "trialogue-hypercorn.service")
    assert show("ActiveState") == "inactive"
    until(ready)
    run("systemctl", "start", UNIT)
    assert show("ActiveState", "trialogue-hypercorn.service") == "inactive"


def wrong_settings_are_said_and_tried_again() -> None:
    settings = ETC / "trialogue.toml"
    text = settings.read_text()
    settings.write_text("prot = 80\n")
    run("systemctl", "stop", UNIT)
    run("systemctl", "start", "--no-block", UNIT)
    until(lambda: "did you mean port?" in run("journalctl", "-u", UNIT, "-n", "20", "--no-pager"))
    settings.write_text(text)
    until(lambda: show("ActiveState") == "active")


def uninstalls_and_keeps_data() -> None:
    run("sh", str(SOURCE / "deploy/uninstall"))
    assert not Path("/opt/trialogue").exists()
    assert Path("/var/lib/trialogue/trialogue.db").exists()
    assert "not-found" in run("systemctl", "show", "-p", "LoadState", UNIT)


CHECKS = (
    installs_and_serves,
    is_shut_in,
    answers_with_the_model_that_comes_along,
    reads_files_in_the_background,
    secret_arrives_and_is_nowhere_to_be_seen,
    socket_starts_it,
    start_returns_when_it_serves,
    comes_back_when_it_was_killed,
    comes_back_when_it_hangs,
    stop_lets_an_answer_end,
    upgrade_cuts_nobody_off,
    upgrade_that_cannot_serve_changes_nothing,
    rollback_cuts_nobody_off,
    rollback_behind_a_migration_is_refused,
    root_administers_it_while_it_serves,
    successor_is_watched_too,
    hypercorn_serves_the_same,
    wrong_settings_are_said_and_tried_again,
    uninstalls_and_keeps_data,
)


def main() -> None:
    """All of them, whatever came of the ones before."""
    results: dict[str, str] = {}
    for check in CHECKS:
        began = time.monotonic()
        try:
            check()
            results[check.__name__] = "ok"
        except Exception:
            journal = run("journalctl", "-u", UNIT, "-n", "40", "--no-pager", check=False)
            results[check.__name__] = f"{traceback.format_exc()}\n{journal}"
        took = time.monotonic() - began
        note(f"{check.__name__}: {results[check.__name__].splitlines()[0][:20]} in {took:.1f} s")
        RESULTS.write_text(json.dumps(results))
        if check is installs_and_serves and results[check.__name__] != "ok":
            return  # There is nothing to ill-treat.


if __name__ == "__main__":
    main()
    sys.exit(0)
