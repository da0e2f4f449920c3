"""Question sets, their judgments, and votes on rerankers' lists."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "question_sets",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False, server_default=""),
        sa.Column("own_corpus", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_index(
        "question_sets_name",
        "question_sets",
        ["name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "set_records",
        sa.Column(
            "set_id", sa.Integer, sa.ForeignKey("question_sets.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("record_id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "set_questions",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column(
            "set_id", sa.Integer, sa.ForeignKey("question_sets.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("answerable", sa.Boolean, nullable=False),
        sa.Column("more", postgresql.JSONB, nullable=False, server_default=sa.text("'{}'")),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.UniqueConstraint("set_id", "key", name="set_questions_key"),
    )
    op.create_table(
        "judgments",
        sa.Column(
            "question_id", sa.Integer, sa.ForeignKey("set_questions.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("file_name", sa.Text, primary_key=True),
        sa.Column("content_hash", sa.Text, primary_key=True),
        sa.Column("gain", sa.SmallInteger, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_table(
        "reranker_votes",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("left_reranker", sa.Text, nullable=False),
        sa.Column("right_reranker", sa.Text, nullable=False),
        sa.Column("left_passages", postgresql.ARRAY(sa.Integer), nullable=False),
        sa.Column("right_passages", postgresql.ARRAY(sa.Integer), nullable=False),
        sa.Column("blind", sa.Boolean, nullable=False),
        sa.Column("choice", sa.Text, nullable=False),
        sa.CheckConstraint("choice in ('left', 'right', 'tie')", name="reranker_votes_choice"),
    )
