"""The OpenAPI 3.1 document, made of the routes and of nothing else: what a route does not say, the document does not know.

document    the whole of it
operation   one route
problems    which errors a route can end in, and what they look like
headers     what each header means
schemas     JSON schemas of the types that go in and out
streams     the events that come out of a stream
examples    requests that are known to work, told beside their operation
"""

from trialogue_server._openapi.document import make_document as make_document
