"""PostgreSQL, driven natively on Trio.

    _drive        psycopg's generators, driven by Trio
    _connection   a connection that cancellation leaves usable
    _pool         connections, lent
"""
