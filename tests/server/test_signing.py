"""What nodes send each other is looked at only if one of them signed it, lately, for this node, and once."""

from __future__ import annotations

import hashlib

import pytest

from trialogue_server._cluster.signing import AGE, Signer
from trialogue_server._http.errors import SignatureError

SECRET = "a-secret-of-all-the-nodes"
PATH = "/internal/commands"


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def pair(secret: str = SECRET) -> tuple[Signer, Signer, Clock]:
    clock = Clock()
    return Signer(SECRET, "one", clock), Signer(secret, "two", clock), clock


def test_what_was_signed_is_taken_once() -> None:
    one, two, _ = pair()
    header = one.sign(PATH, "two", b"body")
    signed = two.check(PATH, header)
    assert signed.sender == "one"
    assert signed.covers(b"body")
    assert not signed.covers(b"another")
    with pytest.raises(SignatureError, match="before"):
        two.check(PATH, header)


def test_another_secret_is_told_as_such() -> None:
    one, two, _ = pair("another-secret-altogether")
    with pytest.raises(SignatureError, match="cluster_secret has to be the same"):
        two.check(PATH, one.sign(PATH, "two", b""))


def test_it_holds_for_this_node_this_address_and_this_body_alone() -> None:
    one, two, _ = pair()
    with pytest.raises(SignatureError, match="another node"):
        two.check(PATH, one.sign(PATH, "three", b""))
    with pytest.raises(SignatureError, match="wrong"):
        two.check("/internal/greetings", one.sign(PATH, "two", b""))
    header = one.sign(PATH, "two", b"body")
    forged = header.replace(hashlib.sha256(b"body").hexdigest(), hashlib.sha256(b"other").hexdigest())
    with pytest.raises(SignatureError, match="wrong"):
        two.check(PATH, forged)


@pytest.mark.parametrize("off", [-AGE - 2, AGE + 2])
def test_clocks_that_are_far_apart_are_told_as_such(off: float) -> None:
    one, two, clock = pair()
    header = one.sign(PATH, "two", b"")
    clock.now += off
    with pytest.raises(SignatureError, match="clocks"):
        two.check(PATH, header)


def test_what_was_used_is_forgotten_only_when_it_is_too_old_anyhow() -> None:
    one, two, clock = pair()
    headers = [one.sign(PATH, "two", b"%d" % number) for number in range(100)]
    for header in headers:
        two.check(PATH, header)
    clock.now += AGE - 1
    for header in headers:
        with pytest.raises(SignatureError, match="before"):
            two.check(PATH, header)
    clock.now += 2 * AGE
    two.check(PATH, one.sign(PATH, "two", b""))
    assert "used=1>" in repr(two)


@pytest.mark.parametrize(
    "header",
    ["", " ", "one two 1 x y z", f"one two {'9' * 13} {'0' * 32} {'0' * 64} {'0' * 64}", "\x00" * 200, "é" * 9],
)
def test_nonsense_is_refused(header: str) -> None:
    _, two, _ = pair()
    with pytest.raises(SignatureError):
        two.check(PATH, header)


def test_secret_is_not_shown() -> None:
    one, _, _ = pair()
    assert SECRET not in repr(one)
    assert SECRET not in one.sign(PATH, "two", b"")


def test_secret_is_changed_while_nodes_run() -> None:
    """In turn, each node goes from the old one to the new one by way of both; any two of them understand each other."""
    new = "another-secret-as-long-as-that"
    for mine, theirs in ((SECRET, f"{SECRET},{new}"), (f"{SECRET},{new}", f"{new},{SECRET}"), (f"{new},{SECRET}", new)):
        one, two = Signer(mine, "one", lambda: 1.0), Signer(theirs, "two", lambda: 1.0)
        two.check(PATH, one.sign(PATH, "two", b""))
        one.check(PATH, two.sign(PATH, "one", b""))
    with pytest.raises(SignatureError, match="cluster_secret"):
        Signer(new, "two", lambda: 1.0).check(PATH, Signer(SECRET, "one", lambda: 1.0).sign(PATH, "two", b""))
