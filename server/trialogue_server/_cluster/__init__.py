"""How the nodes of a cluster speak to each other over HTTP: one asks, signed with the secret they share, and one answers.

    signing    who sent it, when, to whom, and that nobody changed it
    wire       a request over HTTP/1.1, and its answer
    asking     the core's ``Transport``: a command is handed to the node that owns its conversation
    answering  the other end of it, at addresses that are nobody else's
    address    where this node is reached
    opening    all of it, from the settings

Only what is signed is looked at. A command that was handed over twice takes effect once, so nothing here needs to know
whether an answer that did not come was on its way.
"""
