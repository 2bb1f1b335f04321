"""Errors of which the work at hand is not the cause: the connection to the database is gone."""

import psycopg2


def is_lost(error):
    """Whether an error says that a connection to the database was lost, or cannot be made.

    https://www.postgresql.org/docs/current/errcodes-appendix.html: class 08 is connection
    exceptions, 57P operator intervention; psycopg2 gives no code where nobody answered.
    """
    if isinstance(error, psycopg2.InterfaceError):
        return True
    return isinstance(error, psycopg2.OperationalError) and (
        not error.pgcode or error.pgcode.startswith(("08", "57P"))
    )
