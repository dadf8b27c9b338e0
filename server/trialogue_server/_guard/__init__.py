"""The guard around Hypercorn: what a stranger can do to a connection stays in that connection.

    limits       how long and how much, with the reason for each figure
    config       the Hypercorn configuration we serve with
    sockets      ports taken before anything is opened; systemd's sockets
    crowd        connections counted by address
    reaper       one task for every deadline that is not tied to a running call
    writer       bytes to the kernel: at once if it takes them, with a deadline if it does not
    inbox        bytes from the client on their way to the app, bounded
    tasks        one app call: contained, and never left half open
    websocket, protocol, connection      what Hypercorn does for one connection, made safe (link: what they know of it)
    install      puts the above in place of Hypercorn's own
    serve        one guarded server
    body, quart what applications need at this edge

Each module names what goes wrong without it, and ``tests/server/guard`` shows it against Hypercorn as it comes.
"""

from trialogue_server._guard.body import read_body as read_body
from trialogue_server._guard.config import make_config as make_config
from trialogue_server._guard.connection import Connection as Connection
from trialogue_server._guard.connection import connection_of as connection_of
from trialogue_server._guard.context import adopt_limits as adopt_limits
from trialogue_server._guard.install import install_guard as install_guard
from trialogue_server._guard.limits import Limits as Limits
from trialogue_server._guard.quart import prepare_app as prepare_app
from trialogue_server._guard.serve import serve_guarded as serve_guarded
from trialogue_server._guard.sockets import open_sockets as open_sockets

__all__ = [
    "Connection",
    "Limits",
    "adopt_limits",
    "connection_of",
    "install_guard",
    "make_config",
    "open_sockets",
    "prepare_app",
    "read_body",
    "serve_guarded",
]
