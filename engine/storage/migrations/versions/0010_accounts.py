"""Accounts, their sign-ins and REST keys; sessions have an owner and may be shared by a link."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None


def _time(name: str, **options: object) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), **options)  # type: ignore[arg-type]


def _account() -> sa.Column[object]:
    key = sa.ForeignKey("accounts.id", ondelete="CASCADE")
    return sa.Column("account_id", sa.Text, key, nullable=False, index=True)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("subject", sa.Text, unique=True),
        sa.Column("password", sa.Text),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False, server_default=sa.text("false")),
        sa.Column("failures", sa.Integer, nullable=False, server_default="0"),
        _time("locked_until"),
        _time("created_at", nullable=False, server_default=sa.func.now()),
        _time("signed_in_at"),
        sa.CheckConstraint("role in ('reader', 'editor', 'operator', 'admin')", name="accounts_role"),
    )
    op.create_table(
        "sign_ins",
        sa.Column("token", sa.Text, primary_key=True),
        _account(),
        _time("created_at", nullable=False, server_default=sa.func.now()),
        _time("expires_at", nullable=False, index=True),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Integer, sa.Identity(), primary_key=True),
        sa.Column("token", sa.Text, nullable=False, unique=True),
        _account(),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text), nullable=False),
        _time("created_at", nullable=False, server_default=sa.func.now()),
        _time("expires_at"),
        _time("revoked_at"),
    )
    op.add_column("sessions", sa.Column("owner", sa.Text, nullable=False, server_default="local"))
    op.add_column("sessions", sa.Column("share", sa.Text, unique=True))
    op.create_index("sessions_owner", "sessions", ["owner", "updated_at"])
