"""The hub through which event streams leave: one task writes to all of them.

    source    what a stream reads from: a tail and the log behind it
    sink      where its bytes go: straight to the socket as one HTTP chunk, or through ASGI's ``send``
    texts, socket_sink    the same for the subscriptions of a WebSocket
    stream    one client's place in one source
    closings  what was closed lately, for streams that are just being opened
    rounds    the one task: rounds over the streams that have something to send, heartbeats over those that have not
    hub       the ASGI handler, and what the rest of the server asks of the hub

A task per stream costs ten times as much per event as the bytes themselves; here an event costs its system call.
"""

from trialogue_server._hub.hub import Hub as Hub
from trialogue_server._hub.hub import StreamBroken as StreamBroken
from trialogue_server._hub.hub import open_hub as open_hub
from trialogue_server._hub.rounds import Statistics as Statistics
from trialogue_server._hub.sink import Chunk as Chunk
from trialogue_server._hub.socket_sink import Outlet as Outlet
from trialogue_server._hub.socket_sink import PulseSink as PulseSink
from trialogue_server._hub.socket_sink import SocketSink as SocketSink
from trialogue_server._hub.socket_sink import outlet_for as outlet_for
from trialogue_server._hub.source import Silence as Silence
from trialogue_server._hub.source import Source as Source
from trialogue_server._hub.stream import Ending as Ending
from trialogue_server._hub.stream import Tag as Tag
from trialogue_server._hub.texts import message_prefix as message_prefix

__all__ = [
    "Chunk",
    "Ending",
    "Hub",
    "Outlet",
    "PulseSink",
    "Silence",
    "SocketSink",
    "Source",
    "Statistics",
    "StreamBroken",
    "Tag",
    "message_prefix",
    "open_hub",
    "outlet_for",
]
