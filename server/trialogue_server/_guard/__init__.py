"""The guard around Hypercorn: what a stranger can do to a connection stays in that connection.

    _limits       how long and how much, with the reason for each figure
    _config       the Hypercorn configuration we serve with
    _sockets      ports taken before anything is opened; systemd's sockets
    _crowd        connections counted by address
    _reaper       one task for every deadline that is not tied to a running call
    _writer       bytes to the kernel: at once if it takes them, with a deadline if it does not
    _inbox        bytes from the client on their way to the app, bounded
    _tasks        one app call: contained, and never left half open
    _websocket, _protocol, _connection      what Hypercorn does for one connection, made safe
    _install      puts the above in place of Hypercorn's own
    _serve        one guarded server
    _body, _quart what applications need at this edge

Each module names what goes wrong without it, and ``tests/server/guard`` shows it against Hypercorn as it comes.
"""

from trialogue_server._guard._body import read_body as read_body
from trialogue_server._guard._config import make_config as make_config
from trialogue_server._guard._connection import Connection as Connection
from trialogue_server._guard._connection import connection_of as connection_of
from trialogue_server._guard._install import install_guard as install_guard
from trialogue_server._guard._limits import Limits as Limits
from trialogue_server._guard._quart import prepare_app as prepare_app
from trialogue_server._guard._serve import serve_guarded as serve_guarded
from trialogue_server._guard._sockets import open_sockets as open_sockets

__all__ = [
    "Connection",
    "Limits",
    "connection_of",
    "install_guard",
    "make_config",
    "open_sockets",
    "prepare_app",
    "read_body",
    "serve_guarded",
]
