"""Signatures between nodes: a keyed hash over what is asked, of whom, when, and a number that is used once.

    Trialogue-Node: <from> <to> <seconds since 1970> <nonce> <digest of the body> <signature>

The signature is looked at before the body is read. It holds once, for ``AGE`` seconds around when it was made. Of several
secrets, parted by commas, the first one signs and all are good, so that one can be changed while nodes run.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from trialogue_server._http.errors import SignatureError

HEADER = "trialogue-node"
#: Seconds by which the clocks of two nodes may differ, the way included.
AGE = 30.0
#: Signatures remembered as used; one node asks another some hundred times a second at most.
REMEMBERED = 100_000

_FORM = re.compile(r"(\S{1,64}) (\S{1,64}) (\d{1,12}) ([0-9a-f]{32}) ([0-9a-f]{64}) ([0-9a-f]{64})")


class Signed(NamedTuple):
    """What a header says, once it was found to be true."""

    sender: str
    digest: str

    def covers(self, body: bytes) -> bool:
        """Whether this is the body that was signed."""
        return hmac.compare_digest(hashlib.sha256(body).hexdigest(), self.digest)


class Signer:
    """Signs for one node, and checks what is signed for it. ``now`` gives seconds since 1970."""

    def __init__(self, secret: str, node: str, now: Callable[[], float]) -> None:
        self._secrets = [one.encode() for one in secret.split(",") if one]
        self._node = node
        self._now = now
        self._used: OrderedDict[str, float] = OrderedDict()

    def __repr__(self) -> str:
        return f"<Signer {self._node} used={len(self._used)}>"

    def sign(self, path: str, to: str, body: bytes) -> str:
        """The header's value."""
        digest = hashlib.sha256(body).hexdigest()
        said = f"{self._node} {to} {int(self._now())} {secrets.token_hex(16)} {digest}"
        return f"{said} {_signature(self._secrets[0], path, said)}"

    def check(self, path: str, header: str) -> Signed:
        """What a header says. Raises ``SignatureError``, whose words tell an operator what to mend."""
        found = _FORM.fullmatch(header)
        if found is None:
            raise SignatureError("this address is for the nodes of a cluster")
        sender, to, at, nonce, digest, signature = found.groups()
        said = header.rpartition(" ")[0]
        if not self._is_good(path, said, signature):
            raise SignatureError("the signature is wrong: cluster_secret has to be the same on all nodes")
        if to != self._node:
            raise SignatureError("this is another node than the one that was asked for")
        if abs(self._now() - int(at)) > AGE:
            raise SignatureError(f"the clocks of the two nodes are more than {AGE:g} seconds apart: set them")
        self._use(nonce)
        return Signed(sender, digest)

    def _is_good(self, path: str, said: str, signature: str) -> bool:
        return any(hmac.compare_digest(_signature(secret, path, said), signature) for secret in self._secrets)

    def _use(self, nonce: str) -> None:
        now = self._now()
        while self._used and next(iter(self._used.values())) < now - 2 * AGE:
            self._used.popitem(last=False)
        if nonce in self._used:
            raise SignatureError("this was sent before")
        if len(self._used) >= REMEMBERED:
            raise SignatureError("too many requests of other nodes at once")
        self._used[nonce] = now


def _signature(secret: bytes, path: str, said: str) -> str:
    return hmac.new(secret, f"{path}\n{said}".encode(), hashlib.sha256).hexdigest()
