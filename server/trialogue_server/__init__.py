"""Trialogue's server: REST, SSE, WebSocket and the web page over the core, and the command line.

Rooms, from the connection to the handlers and back:

    _guard      a connection: what a stranger does to it stays in it
    _http       a request and its answer, without a framework
    _surface    what every request passes: routes, access, headers, log
    _callers    who calls, from where, and how much they may
    _serving    what handlers are given, and share
    api         the handlers, a module for each kind of thing
    _hub        the way out of all event streams
    _sockets    WebSockets
    _exchange   exports and imports
    _cluster    how nodes ask each other
    _openapi    the API's description, made of its routes
    _seeing     metrics, traces, how late the loop is

and around them what runs and keeps a server:

    config, _settings           every setting, and where its value comes from
    serve, _process, asgi       what is opened in which order; the process around it; the same under another server
    cli, _commands, _administering, _doctor, _keeping, _top     the command ``trialogue``

``app`` puts the first ones together. What begins with an underscore is not API.
"""
