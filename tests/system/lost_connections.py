"""PostgreSQL ends the connections of those who work on a database."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from tools import postgres

#: What is said of it.
CONNECTION_LOST = (
    r"terminating connection|server closed the connection|connection already closed"
    r"|cursor already closed"
)
SECONDS_BETWEEN = 1.0


@contextmanager
def losing_connections(database: str, spared: int) -> Iterator[list[int]]:
    """While the block lasts, end all connections every second or so, always when one of them is
    within a transaction.

    :param spared: the process id of a backend that is left alone
    :return: how many were ended each time
    """
    lost: list[int] = []
    is_over = threading.Event()

    def end_connections() -> None:
        with closing(postgres.connect()) as connection, connection.cursor() as cursor:
            while not is_over.wait(0.002):
                cursor.execute(
                    "WITH others AS (SELECT pid, xact_start FROM pg_stat_activity"
                    "                 WHERE datname = %s AND pid <> %s)"
                    " SELECT count(pg_terminate_backend(pid)) FROM others"
                    "  WHERE EXISTS (SELECT 1 FROM others WHERE xact_start IS NOT NULL)",
                    [database, spared],
                )
                [count] = cursor.fetchone()
                if count:
                    lost.append(count)
                    is_over.wait(SECONDS_BETWEEN)

    thread = threading.Thread(target=end_connections)
    thread.start()
    try:
        yield lost
    finally:
        is_over.set()
        thread.join()
