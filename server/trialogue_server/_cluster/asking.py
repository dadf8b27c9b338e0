"""The core's ``Transport`` over HTTP: what this node asks of others."""

from __future__ import annotations

import logging

import h11
import msgspec
import trio

from trialogue import NodeInfo, Parcel, Receipt, Transport, UnreachableError, decode_outcome
from trialogue_server._cluster.signing import HEADER, Signer
from trialogue_server._cluster.wire import Answer, Wires

#: Where nodes ask each other.
COMMANDS, GREETINGS = "/internal/commands", "/internal/greetings"
#: Seconds for an answer: nearly every one comes in a few hundredths, and asking again does no harm.
PATIENCE, GREETING = 2.0, 1.0
#: How nodes speak to each other; one that speaks otherwise is asked by way of the store.
PROTOCOL = 1

_encode = msgspec.json.Encoder().encode
_log = logging.getLogger("trialogue.cluster")


class Greeting(msgspec.Struct, frozen=True):
    """What a node says of itself when it is greeted."""

    node: str
    name: str
    version: str
    protocol: int = PROTOCOL


_decode_greeting = msgspec.json.Decoder(Greeting).decode


class Problem(msgspec.Struct, frozen=True):
    """What is looked at of a problem that comes back."""

    code: str = ""
    detail: str = ""


_decode_problem = msgspec.json.Decoder(Problem).decode


class HttpTransport(Transport):
    """See ``trialogue.Transport``."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.wires = Wires()

    def __repr__(self) -> str:
        return f"<HttpTransport {self.wires!r}>"

    async def deliver(self, node: NodeInfo, parcel: Parcel) -> Receipt:
        answer = await self._ask(node, COMMANDS, _encode(parcel), PATIENCE)
        if answer.status != 200:
            raise UnreachableError(f"node {node.name!r} does not take commands from here: {_words(answer)}")
        return decode_outcome(answer.body)

    async def greet(self, node: NodeInfo) -> str | None:
        try:
            answer = await self._ask(node, GREETINGS, b"{}", GREETING)
        except UnreachableError as error:
            return error.detail
        if answer.status != 200:
            return _words(answer)
        try:
            greeting = _decode_greeting(answer.body)
        except msgspec.DecodeError:
            return "something else answers at its address"
        if greeting.protocol != PROTOCOL:
            return f"it is of version {greeting.version}, which speaks another way: it is asked by way of the store"
        return None

    async def _ask(self, node: NodeInfo, path: str, body: bytes, patience: float) -> Answer:
        headers = [
            ("content-type", "application/json"),
            (HEADER, self._signer.sign(path, node.id, body)),
        ]
        try:
            with trio.fail_after(patience):
                return await self.wires.post(node.address, path, headers, body)
        except trio.TooSlowError as error:
            raise UnreachableError(f"node {node.name!r} does not answer within {patience:g} seconds") from error
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError, ValueError) as error:
            words = str(error) or type(error).__name__
            raise UnreachableError(f"node {node.name!r} cannot be reached at {node.address!r}: {words}") from error


def _words(answer: Answer) -> str:
    try:
        problem = _decode_problem(answer.body)
    except msgspec.DecodeError:
        return f"it answers with {answer.status}"
    return problem.detail or f"it answers with {answer.status}"
