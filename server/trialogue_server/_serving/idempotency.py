"""Makes a repeated request the same command: by the id a client chose, or by its ``Idempotency-Key``.

The key is a string of the client's, good for one caller, one route and one thing; its hash becomes the command's id, so
that whichever node gets the repeat finds the first one's receipt.
"""

from __future__ import annotations

import hashlib
from uuid import UUID

import msgspec

from trialogue import (
    Command,
    ConflictError,
    ContinueAnswer,
    EditMessage,
    InvalidError,
    PostMessage,
    Receipt,
    Regenerate,
    Terms,
    TrialogueError,
)
from trialogue_server._http.call import Call
from trialogue_server._http.errors import VersionError
from trialogue_server._serving.services import Services

LONGEST_KEY = 255


def command_id(call: Call, user: str, *scope: str) -> str | None:
    """The id that the call's key stands for, ``None`` without one. Raises ``InvalidError``."""
    key = call.header("idempotency-key").strip()
    # A quoted string in the draft; what most clients send is the bare text.
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not key:
        return None
    if len(key) > LONGEST_KEY or not key.isprintable():
        raise InvalidError(f"the Idempotency-Key must be at most {LONGEST_KEY} printable characters")
    digest = hashlib.sha256("\0".join((user, *scope, key)).encode()).digest()
    # Version 8 is RFC 9562's for ids made in a way of one's own.
    bits = int.from_bytes(digest[:16]) & ~(0xF << 76) & ~(0b11 << 62)
    return str(UUID(int=bits | 8 << 76 | 0b10 << 62))


async def submit_once(
    services: Services, call: Call, conversation: str, command: Command, *, chosen: str | None
) -> Receipt:
    """Have the command take effect, or find out that it has; ``chosen`` is the id a client gave it, if one did.

    Raises what ``Engine.submit`` does, conflicts as told here.
    """
    try:
        receipt = await services.engine.submit(conversation, _on_account(call, command), fresh=chosen is None)
    except ConflictError as error:
        raise await told(services, call, conversation, command.id, error) from error
    if receipt.run is not None:
        call.facts["run"] = receipt.run
    return receipt


def _on_account(call: Call, command: Command) -> Command:
    """The command with the caller's API key in its terms, where it may cost something."""
    key = call.facts.get("key")
    match command:
        case PostMessage() | EditMessage() | Regenerate() | ContinueAnswer() if key is not None:
            return msgspec.structs.replace(command, terms=Terms(key))
        case _:
            return command


async def told(services: Services, call: Call, conversation: str, command: str, error: ConflictError) -> TrialogueError:
    """What the caller is told of a conflict: a version is 412, a key that was used for another request is 422."""
    if error.pointer == "/expected":
        return VersionError(error.detail)
    if call.header("idempotency-key") and await services.store.receipt(conversation, command) is not None:
        return InvalidError("this Idempotency-Key was used for another request: use a new one")
    return error
