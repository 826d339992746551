"""Bringing a database to the shape that this version knows. Owns running the migrations and refusing foreign databases.

Rules kept here:
1. The upgrade runs inside the caller's transaction: after a crash the old shape stands.
2. A database that a newer version wrote is not touched; neither is one that is no store.
"""

import io

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from roadworthy.base.errors import StoreBroken

_MIGRATIONS = "roadworthy.store:migrations"


def is_behind(connection: Connection) -> bool:
    """Whether the database has an older shape than this version's, or none yet; reads only.

    Raises:
        StoreBroken: written by a newer version, or not a store (RW-505).
    """
    scripts = ScriptDirectory.from_config(_config())
    revision = MigrationContext.configure(connection).get_current_revision()
    if revision is None and inspect(connection).get_table_names():
        raise StoreBroken("This database holds other tables and is not a store.", remedy="Name the store's own file.")
    if revision is not None and revision not in {script.revision for script in scripts.walk_revisions()}:
        what = f"The store was written by a newer version of Roadworthy (shape {revision})."
        raise StoreBroken(what, remedy="Install that version or a newer one; nothing was changed.")
    return revision != scripts.get_current_head()


def upgrade(connection: Connection) -> None:
    """Upgrade to the newest shape; does nothing when that is what stands.

    Args:
        connection: inside a transaction for writing.

    Raises:
        StoreBroken: as ``is_behind``.
    """
    if is_behind(connection):
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def upgrade_sql(dialect: str) -> str:
    """The whole stream as SQL, for who may not let a program change a schema.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
    """
    written = io.StringIO()
    config = _config()
    config.output_buffer = written
    config.attributes["dialect"] = dialect
    command.upgrade(config, "head", sql=True)
    return written.getvalue()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", _MIGRATIONS)
    return config
