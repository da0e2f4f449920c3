"""Collections of documents, each with its members; how many terms a document has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("everyone", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    )
    op.execute("INSERT INTO collections (name, everyone) VALUES ('Everyone', true)")
    op.create_table(
        "collection_members",
        sa.Column(
            "collection_id",
            sa.Integer,
            sa.ForeignKey("collections.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column(
            "account_id",
            sa.Text,
            sa.ForeignKey("accounts.id", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
    )
    op.add_column(
        "documents",
        sa.Column(
            "collection_id", sa.Integer, sa.ForeignKey("collections.id"), nullable=False, server_default="1"
        ),
    )
    op.create_index("documents_collection", "documents", ["collection_id"])
    # Two collections may hold files of one name.
    op.drop_index("documents_file_name", "documents")
    op.create_index(
        "documents_file_name",
        "documents",
        ["collection_id", "file_name"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.add_column("documents", sa.Column("term_count", sa.BigInteger, nullable=False, server_default="0"))
    op.execute(
        "UPDATE documents SET term_count = counted.terms FROM ("
        " SELECT document_id, sum(length) AS terms"
        " FROM (SELECT DISTINCT document_id, passage_id, length FROM postings) AS lengths"
        " GROUP BY document_id) AS counted WHERE counted.document_id = documents.id"
    )
