"""What operators did becomes what anybody did: who, when, what; rows are added, never changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.rename_table("operator_actions", "audit_events")
    op.add_column("audit_events", sa.Column("who_id", sa.Text, nullable=False, server_default="local"))
    op.add_column("audit_events", sa.Column("who", sa.Text, nullable=False, server_default="local"))
    op.create_index("audit_events_at", "audit_events", ["at"])
    # Only retention removes, and only what is older than the days that its transaction names.
    op.execute(
        """
        CREATE FUNCTION audit_is_kept() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF TG_OP = 'DELETE' AND OLD.at < now() - make_interval(
                days => nullif(current_setting('dossier.audit_retention_days', true), '')::int
            ) THEN
                RETURN OLD;
            END IF;
            RAISE EXCEPTION 'audit events are added, never changed';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER audit_events_kept BEFORE UPDATE OR DELETE ON audit_events"
        " FOR EACH ROW EXECUTE FUNCTION audit_is_kept()"
    )
    op.execute(
        "CREATE TRIGGER audit_events_whole BEFORE TRUNCATE ON audit_events"
        " FOR EACH STATEMENT EXECUTE FUNCTION audit_is_kept()"
    )
