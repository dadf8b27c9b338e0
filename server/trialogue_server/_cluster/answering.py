"""What other nodes ask of this one: ``/internal/commands`` and ``/internal/greetings``, signed, and nobody else's.

Where this process is not part of a cluster with a secret, there is nothing at these addresses, as at any other. A proxy in
front has no reason to pass them on.
"""

from __future__ import annotations

import msgspec

from trialogue import BrokenError, Engine, Parcel, TrialogueError, encode_outcome
from trialogue_server._cluster.asking import COMMANDS, GREETINGS, Greeting
from trialogue_server._cluster.signing import HEADER, Signer
from trialogue_server._http.call import Call, Reply, json_reply
from trialogue_server._http.errors import MalformedError, MethodError, SignatureError

#: Bytes of a command: messages that are added by an import may be many, and long.
MOST = 67_108_864

_decode = msgspec.json.Decoder(Parcel).decode


class Answering:
    """The answers of one node."""

    def __init__(self, engine: Engine, signer: Signer) -> None:
        assert engine.cluster is not None, "only nodes of a cluster are asked"
        self._engine = engine
        self._signer = signer
        info = engine.cluster.info
        self._greeting = json_reply(Greeting(info.id, info.name, info.version))

    def answers(self, path: str) -> bool:
        """Whether this is an address of ours."""
        return path in (COMMANDS, GREETINGS)

    async def answer(self, call: Call) -> Reply:
        """Answer. Raises ``SignatureError``, ``MethodError``, and what reading a body raises."""
        if call.method != "POST":
            raise MethodError("use POST here", ["POST"])
        signed = self._signer.check(call.path, call.header(HEADER))
        body = await call.read_body()
        if not signed.covers(body):
            raise SignatureError("the body is not the one that was signed")
        if call.path == GREETINGS:
            return self._greeting
        try:
            parcel = _decode(body)
        except msgspec.DecodeError as error:
            raise MalformedError("this version knows no such command: look at the versions of both nodes") from error
        call.facts["conversation"] = parcel.conversation
        return Reply(200, await self._carry_out(parcel))

    async def _carry_out(self, parcel: Parcel) -> bytes:
        try:
            return encode_outcome(await self._engine.submit_here(parcel))
        except TrialogueError as error:
            return encode_outcome(error)
        except BaseExceptionGroup as group:
            raise BrokenError("this failed on another node: send it again") from group
