"""First schema: documents, passages, the lexical index, sessions and turns."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _now(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def _document(**options: Any) -> sa.Column[object]:
    key = sa.ForeignKey("documents.id", ondelete="CASCADE")
    return sa.Column("document_id", sa.Integer, key, nullable=False, **options)


def upgrade() -> None:
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("file_name", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("page_count", sa.Integer),
        sa.Column("passage_count", sa.Integer, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("language", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("published_on", sa.Date),
        sa.Column("effective_on", sa.Date),
        sa.Column("expires_on", sa.Date),
        sa.Column("superseded_by", sa.Integer, sa.ForeignKey("documents.id", ondelete="SET NULL")),
        sa.Column("tags", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("edited", sa.ARRAY(sa.Text), nullable=False, server_default="{}"),
        sa.Column("search_text", sa.Text, nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("status in ('active', 'draft', 'superseded', 'expired')", name="documents_status"),
    )
    living = sa.text("deleted_at IS NULL")
    deleted = sa.text("deleted_at IS NOT NULL")
    op.create_index("documents_file_name", "documents", ["file_name"], unique=True, postgresql_where=living)
    op.create_index("documents_content_hash", "documents", ["content_hash"])
    op.create_index("documents_updated_at", "documents", ["updated_at"])
    op.create_index("documents_deleted_at", "documents", ["deleted_at"], postgresql_where=deleted)

    op.create_table(
        "file_chunks",
        _document(primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    # Uploaded files are mostly compressed already.
    op.execute("ALTER TABLE file_chunks ALTER COLUMN content SET STORAGE EXTERNAL")

    op.create_table(
        "passages",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        _document(),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("page", sa.Integer),
        sa.Column("last_page", sa.Integer),
        sa.Column("start_char", sa.Integer, nullable=False),
        sa.Column("end_char", sa.Integer, nullable=False),
        sa.Column("content_hash", sa.Text, nullable=False),
        sa.UniqueConstraint("document_id", "position", name="passages_position"),
    )

    op.create_table(
        "headings",
        _document(primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("heading", sa.Text, nullable=False),
        sa.Column("level", sa.SmallInteger, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("page", sa.Integer),
    )

    op.create_table(
        "terms",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("term", sa.Text, nullable=False, unique=True),
        sa.Column("folded", sa.Text, nullable=False),
        sa.Column("passage_count", sa.Integer, nullable=False),
    )
    op.create_index("ix_terms_folded", "terms", ["folded"])
    op.create_table(
        "postings",
        sa.Column("term_id", sa.Integer, nullable=False),
        sa.Column("passage_id", sa.Integer, nullable=False),
        _document(),
        sa.Column("frequency", sa.SmallInteger, nullable=False),
        sa.Column("length", sa.SmallInteger, nullable=False),
    )
    op.create_index(
        "postings_term",
        "postings",
        ["term_id", "passage_id"],
        unique=True,
        postgresql_include=["document_id", "frequency", "length"],
    )
    op.create_index("postings_document", "postings", ["document_id"])
    # Searches read the index alone, which needs the visibility map kept fresh after inserts.
    op.execute("ALTER TABLE postings SET (autovacuum_vacuum_insert_scale_factor = 0.05)")

    op.create_table(
        "corpus",
        sa.Column("one_row", sa.Boolean, primary_key=True, server_default=sa.text("true")),
        sa.Column("generation", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("passage_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("term_count", sa.BigInteger, nullable=False, server_default="0"),
        sa.CheckConstraint("one_row", name="corpus_one_row"),
    )
    op.execute("INSERT INTO corpus DEFAULT VALUES")

    op.create_table(
        "sessions",
        sa.Column("id", postgresql.UUID(as_uuid=True), primary_key=True),
        sa.Column("title", sa.Text, nullable=False),
        _now("created_at"),
        _now("updated_at"),
        sa.Column("deleted_at", sa.DateTime(timezone=True)),
    )
    op.create_index("sessions_updated_at", "sessions", ["updated_at"])
    op.create_table(
        "turns",
        sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
        sa.Column(
            "session_id",
            postgresql.UUID(as_uuid=True),
            sa.ForeignKey("sessions.id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer_text", sa.Text, nullable=False),
        sa.Column("answer", postgresql.JSONB, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("filter", postgresql.JSONB, nullable=False),
        sa.Column("vote", sa.Text),
        sa.Column("reason", sa.Text, nullable=False, server_default=""),
        _now("created_at"),
        sa.UniqueConstraint("session_id", "position", name="turns_position"),
        sa.CheckConstraint("vote in ('up', 'down')", name="turns_vote"),
    )


def downgrade() -> None:
    for table in reversed(
        (
            "documents",
            "file_chunks",
            "passages",
            "headings",
            "terms",
            "postings",
            "corpus",
            "sessions",
            "turns",
        )
    ):
        op.drop_table(table)
