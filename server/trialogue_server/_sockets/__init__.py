"""WebSockets: many conversations over one connection, in both directions. Subprotocol ``trialogue.v1``.

    _messages        what both sides may say
    _closing         why a socket is closed, and the code that says so
    _commands        commands: the same requests as over HTTP, answered by the same routes
    _subscriptions   what is followed over one socket
    _socket          one socket: its greeting, its reader, its end
    _opening         the handshake: who comes from where, and whether one more is allowed

Events leave through the hub, as the same bytes that readers of server-sent events get.
"""
