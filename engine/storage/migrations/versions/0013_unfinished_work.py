"""What a process that dies leaves unfinished is found again: a request's turn, a new title."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("made", sa.Text))
    op.add_column("documents", sa.Column("indexed_title", sa.Text))


def downgrade() -> None:
    op.drop_column("documents", "indexed_title")
    op.drop_column("idempotency_keys", "made")
