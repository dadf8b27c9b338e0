"""The hub through which event streams leave: one task writes to all of them.

    _source    what a stream reads from: a tail and the log behind it
    _sink      where its bytes go: straight to the socket as one HTTP chunk, or through ASGI's ``send``
    _stream    one client's place in one source
    _rounds    the one task: rounds over the streams that have something to send, heartbeats over those that have not
    _hub       the ASGI handler, and what the rest of the server asks of the hub

A task per stream costs ten times as much per event as the bytes themselves; here an event costs its system call.
"""

from trialogue_server._hub._hub import Hub as Hub
from trialogue_server._hub._hub import StreamBroken as StreamBroken
from trialogue_server._hub._hub import open_hub as open_hub
from trialogue_server._hub._rounds import Statistics as Statistics
from trialogue_server._hub._source import Source as Source
from trialogue_server._hub._stream import Tag as Tag

__all__ = ["Hub", "Source", "Statistics", "StreamBroken", "Tag", "open_hub"]
