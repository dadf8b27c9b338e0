"""Entity tags of conversations: the version, in quotes."""

from __future__ import annotations

import re

from trialogue import Conversation
from trialogue_server._http.call import Call
from trialogue_server._http.errors import VersionError

_TAG = re.compile(r'(W/)?"([^"]*)"')


def etag_of(header: Conversation) -> str:
    """The tag of the conversation as it is."""
    return f'"{header.version}"'


def expected_version(call: Call, header: Conversation) -> int | None:
    """The version the caller insists on, ``None`` when any will do.

    Raises ``VersionError`` when ``If-Match`` does not name the current one. The comparison is strong: a weak tag matches
    nothing (RFC 9110, 13.1.1).
    """
    wanted = call.header("if-match").strip()
    if wanted in ("", "*"):
        return None
    if any(not weak and tag == str(header.version) for weak, tag in _TAG.findall(wanted)):
        return header.version
    raise VersionError(f"the conversation is at version {header.version}: read it again, then send your change")
