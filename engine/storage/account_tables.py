"""The tables of who can come in."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, DateTime, ForeignKey, Identity, Integer, Table, Text, func, text
from sqlalchemy.dialects.postgresql import ARRAY

from engine.storage.tables import metadata


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


# name: in lower case. subject: who an identity provider says it is. password: an Argon2id hash.
accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("subject", Text, unique=True),
    Column("password", Text),
    Column("role", Text, nullable=False),
    Column("disabled", Boolean, nullable=False, server_default=text("false")),
    Column("failures", Integer, nullable=False, server_default="0"),
    Column("locked_until", DateTime(timezone=True)),
    _now("created_at"),
    Column("signed_in_at", DateTime(timezone=True)),
)

# token: SHA-256 of what a browser or a program brings; the same for keys and shared sessions.
sign_ins = Table(
    "sign_ins",
    metadata,
    Column("token", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False, index=True),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("token", Text, nullable=False, unique=True),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    _now("created_at"),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
)

# everyone: read by all who may read at all.
collections = Table(
    "collections",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("everyone", Boolean, nullable=False, server_default=text("false")),
    _now("created_at"),
)

collection_members = Table(
    "collection_members",
    metadata,
    Column("collection_id", Integer, ForeignKey("collections.id", ondelete="CASCADE"), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
)
