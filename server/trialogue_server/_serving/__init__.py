"""What handlers are given, and what they share beside it.

services     the engine, the settings, who is calling, whose something is
parts        what that is made of, opened by ``serve``
reading      where a reader of a stream begins
expiry       what was opened with a key ends with it
idempotency  a repeated request is the same command
bounds       how much one user may have, and try, at a time
endings      sessions, keys and accounts end, and what they had open
shared_look  a look that costs, shared by all who ask meanwhile
patience     the core's bounds on asking providers, from the settings
"""
