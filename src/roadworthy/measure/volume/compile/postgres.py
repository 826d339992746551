"""Ibis on a PostgreSQL connection, without pandas. Owns that one adaptation; queries are ``ibis``' business.

Ibis asks for pandas when it connects, to write a missing instant of pandas into a query. Nothing here writes one, and
the default installation has no pandas. Nobody imports this module who does not have psycopg.
"""

from typing import Any

from ibis.backends.postgres import Backend


class PostgresTables(Backend):  # type: ignore[misc]  # Ibis ships no types
    """Ibis' backend, connected without pandas."""

    def _post_connect(self) -> None:
        # What remains of Ibis' own: one zone for all who share the connection.
        with self.con.cursor() as cursor:
            cursor.execute("SET TIMEZONE = UTC")


def postgres_tables(connection: Any) -> PostgresTables:
    """The tables of an open ``psycopg.Connection``; its time zone becomes UTC.

    The connection should commit by itself, or the count stays in a transaction that is left open.
    """
    tables: PostgresTables = PostgresTables.from_connection(connection)
    return tables
