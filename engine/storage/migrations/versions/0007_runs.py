"""Runs over question sets, challenges on real questions, and what operators chose."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "set_id", sa.Integer, sa.ForeignKey("question_sets.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("rerankers", postgresql.ARRAY(sa.Text), nullable=False),
        sa.Column("settings", postgresql.JSONB, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("worker", postgresql.UUID(as_uuid=True)),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("finished_at", sa.DateTime(timezone=True)),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status in ('running', 'cancelled', 'failed', 'done')", name="runs_status"),
    )
    op.create_table(
        "run_results",
        sa.Column("run_id", sa.Integer, sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column(
            "question_id", sa.Integer, sa.ForeignKey("set_questions.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("reranker", sa.Text, primary_key=True),
        sa.Column("ndcg", sa.Float),
        sa.Column("mrr", sa.Float),
        sa.Column("recall", sa.Float),
        sa.Column("reachable", sa.Float),
        sa.Column("confidence", sa.Float, nullable=False),
        sa.Column("milliseconds", sa.Float, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("prompt_tokens", sa.Integer, nullable=False),
        sa.Column("completion_tokens", sa.Integer, nullable=False),
        sa.Column("notice", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
    )
    op.create_table(
        "challenges",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("turn_id", sa.BigInteger, sa.ForeignKey("turns.id", ondelete="SET NULL"), index=True),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("champion", sa.Text, nullable=False),
        sa.Column("challenger", sa.Text, nullable=False),
        sa.Column("same_first", sa.Boolean),
        sa.Column("overlap", sa.Float),
        sa.Column("kendall", sa.Float),
        sa.Column("rbo", sa.Float),
        sa.Column("citations_kept", sa.Float),
        sa.Column("milliseconds", sa.Float, nullable=False),
        sa.Column("cost_usd", sa.Float),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("dropped_before", sa.Integer, nullable=False),
    )
    op.create_index("challenges_pair", "challenges", ["champion", "challenger", "at"])
    op.create_table(
        "choices",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
