"""The native API: one module for each kind of thing, each with its ``ROUTES``.

    auth           registering, logging in and out
    account        one's own account
    devices        where one is logged in
    keys           one's API keys
    admin          everybody's accounts, plugins and live actors
    invitations    leave to make an account
    audit          who did what to which account
    logins         logging in at another place
    conversations  conversations and their lists
    messages       what is said in them, and stopping the answer
    branches       what was said in them, in pages
    files          uploading, listing, sending and removing files
    forks          a conversation that begins with a branch of another
    sharing        public links to a branch
    shared         what they show
    search         by words, by meaning and by place
    exports        everything one has, as a document
    imports        such documents, and others' exports, taken in
    models         what can be asked
    tools          what models may call
    approvals      whether a tool call may be made
    nodes          the processes over one storage
    oversight      others' keys, and the bounds that hold, for administrators
    usage          what was used and what it cost
    budgets        what may be used
    health         whether we live and are ready
    metrics        figures, as Prometheus reads them
    events         the streams, which leave beside Quart through the hub
    socket         the WebSocket's address, as a plain request sees it
    description    the OpenAPI document

Handlers take the services and a ``Call`` and return a ``Reply``; errors are raised and rendered by whoever called them.
"""

from trialogue_server.api import (
    account,
    admin,
    approvals,
    audit,
    auth,
    branches,
    budgets,
    conversations,
    description,
    devices,
    events,
    exports,
    files,
    forks,
    health,
    imports,
    invitations,
    keys,
    logins,
    messages,
    metrics,
    models,
    nodes,
    oversight,
    search,
    shared,
    sharing,
    socket,
    tools,
    usage,
)

#: Blueprint name -> routes.
BLUEPRINTS = {
    "auth": auth.ROUTES,
    "account": account.ROUTES,
    "devices": devices.ROUTES,
    "keys": keys.ROUTES,
    "admin": admin.ROUTES,
    "invitations": invitations.ROUTES,
    "audit": audit.ROUTES,
    "logins": logins.ROUTES,
    "conversations": conversations.ROUTES,
    "messages": (*messages.ROUTES, *branches.ROUTES),
    "files": files.ROUTES,
    "forks": forks.ROUTES,
    "sharing": (*sharing.ROUTES, *shared.ROUTES),
    "search": search.ROUTES,
    "exports": exports.ROUTES,
    "imports": imports.ROUTES,
    "models": models.ROUTES,
    "tools": tools.ROUTES,
    "approvals": approvals.ROUTES,
    "nodes": nodes.ROUTES,
    "oversight": oversight.ROUTES,
    "usage": usage.ROUTES,
    "budgets": budgets.ROUTES,
    "health": health.ROUTES,
    "metrics": metrics.ROUTES,
    "events": events.ROUTES,
    "socket": socket.ROUTES,
    "description": description.ROUTES,
}

#: Those that are answered beside Quart.
DIRECT = tuple(route for routes in BLUEPRINTS.values() for route in routes if route.direct)
