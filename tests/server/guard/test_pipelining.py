"""Requests sent ahead are answered in order, and do not blind the server to a client that leaves."""

from __future__ import annotations

from typing import Any

KEEP = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
SILENT = b"GET /silent HTTP/1.1\r\nHost: x\r\n\r\n"


def leave_during_silence(victim: Any, tools: Any, ahead: bytes) -> None:
    sock = victim.connect()
    sock.sendall(SILENT + ahead)
    tools.read_until(sock, b": ok\n\n")
    sock.close()


def test_upstream_does_not_notice_who_sent_ahead_and_left(start: Any, tools: Any) -> None:
    """Upstream still has it: the reader is paused, and a silent stream writes nothing."""
    victim = start("stock")
    before = victim.descriptors()
    leave_during_silence(victim, tools, KEEP)
    assert not tools.eventually(lambda: victim.descriptors() <= before, within=1)


def test_notices_who_sent_ahead_and_left(start: Any, tools: Any) -> None:
    victim = start("guard")
    before = victim.descriptors()
    for ahead in (b"", KEEP, KEEP * 100):
        leave_during_silence(victim, tools, ahead)
        assert victim.descriptors_fall_to(before)


def test_requests_ahead_are_answered_in_order(start: Any, tools: Any) -> None:
    victim = start("guard")
    with victim.connect() as sock:
        bodies = [b"%04d" % number for number in range(50)]
        for body in bodies:
            sock.sendall(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n" + body)
        answers = tools.read_until(sock, b"\r\n\r\n0049")
    assert [part[:4] for part in answers.split(b"\r\n\r\n")[1:]] == bodies


def test_more_ahead_than_is_kept_does_not_outlive_the_connection(start: Any, tools: Any) -> None:
    """A reader that waits for its turn is told when there will be none."""
    victim = start("guard", limits={"pipelined": 1000, "linger": 0.1})
    before = victim.descriptors()
    with victim.connect() as sock:
        sock.sendall(b"GET /breaks HTTP/1.1\r\nHost: x\r\n\r\n" + KEEP * 200)
        tools.read_until(sock, b"data: one")
        assert victim.descriptors_fall_to(before)
    assert victim.seconds_to_end(within=3) is not None


def test_waiting_reader_does_not_outlive_a_connection_that_was_broken_off(start: Any, tools: Any) -> None:
    """Nobody would see it but the shutdown, which would wait for it."""
    victim = start("guard", graceful_timeout=30, limits={"pipelined": 1000, "send_deadline": 0.3})
    before = victim.descriptors()
    with victim.connect(receive_buffer=4096) as sock:
        sock.sendall(b"GET /firehose HTTP/1.1\r\nHost: x\r\n\r\n" + KEEP * 200)
        assert victim.descriptors_fall_to(before + 1)
        assert victim.descriptors_fall_to(before)
    assert victim.seconds_to_end(within=10) is not None


def test_more_ahead_than_is_kept_is_still_answered(start: Any, tools: Any) -> None:
    """Beyond the bound the client waits in its socket, and is served when its turn comes."""
    victim = start("guard", limits={"pipelined": 1000})
    with victim.connect() as sock:
        sock.sendall(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n" + KEEP * 200)
        received = tools.read_until(sock, b"last")
        while received.count(b'{"ok":true}') < 200:
            received += sock.recv(65_536)
