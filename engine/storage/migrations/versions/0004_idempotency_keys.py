"""Answers to requests that were sent with an idempotency key, for when they are sent again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("claim", sa.Uuid, nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.SmallInteger),
        sa.Column("headers", sa.dialects.postgresql.JSONB),
        sa.Column("body", sa.LargeBinary),
    )
    op.create_index("idempotency_keys_expires_at", "idempotency_keys", ["expires_at"])
