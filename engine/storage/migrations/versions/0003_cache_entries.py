"""The lasting cache layer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cache_entries",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        prefixes=["UNLOGGED"],
    )
    op.create_index("cache_entries_expires_at", "cache_entries", ["expires_at"])
    # Values are packed already, and read whole.
    op.execute("ALTER TABLE cache_entries ALTER COLUMN value SET STORAGE EXTERNAL")
