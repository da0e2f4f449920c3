"""Alembic's entry: runs on the connection that `engine.storage.migrate` hands over."""

from __future__ import annotations

from alembic import context

from engine.storage.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table_schema=context.config.attributes["schema"],
)
with context.begin_transaction():
    context.run_migrations()
