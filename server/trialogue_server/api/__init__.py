"""The native API: one module for each kind of thing, each with its ``ROUTES``.

    auth           accounts and sessions
    conversations  conversations and their lists
    messages       what is said in them, and stopping the answer
    models         what can be asked
    health         whether we live and are ready
    events         the streams, which leave beside Quart through the hub

Handlers take the services and a ``Call`` and return a ``Reply``; errors are raised and rendered by whoever called them.
"""

from trialogue_server.api import auth, conversations, events, health, messages, models

#: Blueprint name -> routes.
BLUEPRINTS = {
    "auth": auth.ROUTES,
    "conversations": conversations.ROUTES,
    "messages": messages.ROUTES,
    "models": models.ROUTES,
    "health": health.ROUTES,
    "events": events.ROUTES,
}

#: Those that are answered beside Quart.
DIRECT = tuple(route for routes in BLUEPRINTS.values() for route in routes if route.direct)
