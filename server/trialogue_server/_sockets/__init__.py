"""WebSockets: many conversations over one connection, in both directions. Subprotocol ``trialogue.v1``.

    messages        what both sides may say
    closing         why a socket is closed, and the code that says so
    commands        commands: the same requests as over HTTP, answered by the same routes
    subscriptions   what is followed over one socket
    socket          one socket: its greeting, its reader, its end
    opening         the handshake: who comes from where, and whether one more is allowed

Events leave through the hub, as the same bytes that readers of server-sent events get.
"""
