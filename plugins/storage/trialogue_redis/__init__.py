"""Redis, for what nodes share and may lose at any moment.

    _url           where it is
    _wire          bytes, out at once and in as they come
    _connection    one connection that everybody shares
    _client        the same, supervised: it comes back by itself, and nobody waits for it
    _subscription  listeners of channels, who are told of gaps
    _script        what Redis runs at one moment
    _errors        how it fails

The client is ours because those there are either do not run on Trio or lose a connection whenever a call is cancelled.
"""
