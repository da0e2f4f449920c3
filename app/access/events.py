"""The audit: read when asked for, since reading it is recorded as well."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from app.bridge import Bridge
from app.messages import shown_errors
from engine.access.audit import AuditEvent, as_csv

_SHOWN = "audit-events"
MOST = 5_000


def draw_events(bridge: Bridge) -> None:
    """Who did what, the latest first."""
    with st.form("audit-form", border=False), st.container(horizontal=True, vertical_alignment="bottom"):
        who = st.text_input("Who", key="audit-who", placeholder="Anybody")
        action = st.text_input("Action", key="audit-action", placeholder="Any: ask, upload, delete …")
        days = st.number_input("Days back", 1, 3650, 30, key="audit-days")
        sent = st.form_submit_button("Show", type="primary", key="audit-send")
    if sent:
        since = datetime.now(UTC) - timedelta(days=days)
        with shown_errors():
            st.session_state[_SHOWN] = bridge.call(
                lambda engine: engine.entrance.audit.list(
                    who=who.strip(), action=action.strip(), since=since, limit=MOST
                )
            )
    if _SHOWN in st.session_state:
        _draw_table(st.session_state[_SHOWN])
    else:
        st.caption("Nothing is read before you ask for it: reading the audit is recorded too.")


def _draw_table(events: Sequence[AuditEvent]) -> None:
    if not events:
        st.caption("Nothing was done that fits.")
        return
    st.dataframe(
        {
            "At (UTC)": [event.at for event in events],
            "Who": [event.who for event in events],
            "Action": [event.action.capitalize() for event in events],
            "Of": [event.subject for event in events],
            "Outcome": [event.outcome if event.done else f"Refused. {event.outcome}" for event in events],
            "From": [event.via.capitalize() for event in events],
        },
        key="audit",
        hide_index=True,
        column_config={
            "At (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", timezone="UTC"),
            "Outcome": st.column_config.TextColumn(width="large"),
        },
    )
    if len(events) == MOST:
        st.caption(f"The latest {MOST:,}; `python -m engine audit --limit` gives more.")
    st.download_button("Download as CSV", as_csv(events), "audit.csv", "text/csv", key="audit-csv")
