"""The hub through which event streams leave: one task writes to all of them.

    _source    what a stream reads from: a tail and the log behind it
    _sink      where its bytes go: straight to the socket as one HTTP chunk, or through ASGI's ``send``
    _texts, _socket_sink    the same for the subscriptions of a WebSocket
    _stream    one client's place in one source
    _closings  what was closed lately, for streams that are just being opened
    _rounds    the one task: rounds over the streams that have something to send, heartbeats over those that have not
    _hub       the ASGI handler, and what the rest of the server asks of the hub

A task per stream costs ten times as much per event as the bytes themselves; here an event costs its system call.
"""

from trialogue_server._hub._hub import Hub as Hub
from trialogue_server._hub._hub import StreamBroken as StreamBroken
from trialogue_server._hub._hub import open_hub as open_hub
from trialogue_server._hub._rounds import Statistics as Statistics
from trialogue_server._hub._sink import Chunk as Chunk
from trialogue_server._hub._socket_sink import Outlet as Outlet
from trialogue_server._hub._socket_sink import PulseSink as PulseSink
from trialogue_server._hub._socket_sink import SocketSink as SocketSink
from trialogue_server._hub._socket_sink import outlet_for as outlet_for
from trialogue_server._hub._source import Silence as Silence
from trialogue_server._hub._source import Source as Source
from trialogue_server._hub._stream import Ending as Ending
from trialogue_server._hub._stream import Tag as Tag
from trialogue_server._hub._texts import message_prefix as message_prefix

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
