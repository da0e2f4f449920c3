"""Metrics over time, so that they outlive the process that measured them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "metrics_history",
        sa.Column("seconds", sa.Integer, primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), primary_key=True),
        sa.Column("run", sa.Uuid, primary_key=True),
        sa.Column("process", sa.Text, nullable=False),
        sa.Column("measured", sa.dialects.postgresql.JSONB, nullable=False),
    )
