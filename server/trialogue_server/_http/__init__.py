"""A request and its answer over HTTP, without a framework: what comes in is read and checked here, what goes out is written.

    call         a request and its answer, as handlers see them
    bodies       a body read whole, counted and timed (json_limits: what JSON of a client's own may hold)
    requests     a JSON body as a checked value
    queries      the query string as one
    uploads      multipart bodies, handed on while they arrive
    downloads    a file's content as an answer (ranges, etags)
    links        where a page's next one is
    errors       what only HTTP knows (problems: how any error looks on our wire)
    sending      an answer, sent without a framework

Who is calling is its neighbours' business: ``_callers``, ``_serving``.
"""
