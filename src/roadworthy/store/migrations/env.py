"""How Alembic runs the one stream of migrations. Imports nothing of ours: migrations outlive the code of today.

Two ways in, both from ``store.upgrade``: with a connection that is already inside a transaction (the migration commits
or vanishes together with it), or with the name of a dialect, to write the SQL for a database administrator.
"""

from alembic import context

# On a server other sessions are at work: wait briefly for a lock, never run long, and migrate one at a time. The number
# names the lock; any constant will do.
POSTGRESQL_LIMITS = (
    "SET LOCAL lock_timeout = '4s'",
    "SET LOCAL statement_timeout = '5s'",
    "SELECT pg_advisory_xact_lock(7246198)",
)


def run() -> None:
    """Run what was asked for."""
    attributes = context.config.attributes
    if context.is_offline_mode():
        context.configure(dialect_name=attributes["dialect"], literal_binds=True, render_as_batch=True)
    else:
        # SQLite cannot alter much in place: batch mode copies the table instead.
        context.configure(connection=attributes["connection"], render_as_batch=True)
    with context.begin_transaction():
        if context.get_context().dialect.name == "postgresql":
            for statement in POSTGRESQL_LIMITS:
                context.execute(statement)
        context.run_migrations()


run()
