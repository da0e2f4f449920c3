"""The tables, as SQLAlchemy Core. Migrations make them; stores read and write them.

Vectors are not here: each embedder has a table of its own, since the dimension of its
vector column follows it (see `engine.storage.embeddings`).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = MetaData()


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


documents = Table(
    "documents",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("file_name", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("page_count", Integer),
    Column("passage_count", Integer, nullable=False),
    Column("title", Text, nullable=False),
    # the title that passages were indexed under; not known of documents from before it was noted
    Column("indexed_title", Text),
    Column("language", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("published_on", Date),
    Column("effective_on", Date),
    Column("expires_on", Date),
    Column("superseded_by", Integer, ForeignKey("documents.id", ondelete="SET NULL")),
    Column("tags", ARRAY(Text), nullable=False, server_default="{}"),
    # which of the above a person has set: ingesting a new version leaves those alone
    Column("edited", ARRAY(Text), nullable=False, server_default="{}"),
    # title and file name in lower case without diacritics, for the table's search
    Column("search_text", Text, nullable=False),
    _now("created_at"),
    _now("updated_at"),
    Column("deleted_at", DateTime(timezone=True)),
    Column("collection_id", Integer, ForeignKey("collections.id"), nullable=False, server_default="1"),
    Column("term_count", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("status in ('active', 'draft', 'superseded', 'expired')", name="documents_status"),
)
Index(
    "documents_file_name",
    documents.c.collection_id,
    documents.c.file_name,
    unique=True,
    postgresql_where=documents.c.deleted_at.is_(None),
)
Index("documents_collection", documents.c.collection_id)
Index("documents_content_hash", documents.c.content_hash)
Index("documents_updated_at", documents.c.updated_at)
Index("documents_deleted_at", documents.c.deleted_at, postgresql_where=documents.c.deleted_at.is_not(None))

file_chunks = Table(
    "file_chunks",
    metadata,
    Column("document_id", Integer, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

passages = Table(
    "passages",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("document_id", Integer, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("text", Text, nullable=False),
    Column("heading", Text, nullable=False),
    Column("context", Text, nullable=False),
    Column("page", Integer),
    Column("last_page", Integer),
    Column("start_char", Integer, nullable=False),
    Column("end_char", Integer, nullable=False),
    Column("content_hash", Text, nullable=False),
    UniqueConstraint("document_id", "position", name="passages_position"),
)

# The outline: every heading, with the passage in which it stands.
headings = Table(
    "headings",
    metadata,
    Column("document_id", Integer, ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("heading", Text, nullable=False),
    Column("level", SmallInteger, nullable=False),
    Column("position", Integer, nullable=False),
    Column("page", Integer),
)

# The lexical index: BM25 is one sum over the postings of the question's terms.
terms = Table(
    "terms",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("term", Text, nullable=False, unique=True),
    Column("folded", Text, nullable=False, index=True),  # without diacritics
    Column("passage_count", Integer, nullable=False),
)

postings = Table(
    "postings",
    metadata,
    Column("term_id", Integer, nullable=False),
    Column("passage_id", Integer, nullable=False),
    Column("document_id", Integer, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("frequency", SmallInteger, nullable=False),
    Column("length", SmallInteger, nullable=False),  # of the passage, in terms
)
# Covers the search: the heap is not touched. Duplicates in the second are folded by the B-tree.
Index(
    "postings_term",
    postings.c.term_id,
    postings.c.passage_id,
    unique=True,
    postgresql_include=["document_id", "frequency", "length"],
)
Index("postings_document", postings.c.document_id)

# One row. `generation` grows with every change that search can see; the counts are BM25's.
corpus = Table(
    "corpus",
    metadata,
    Column("one_row", Boolean, primary_key=True, server_default=text("true")),
    Column("generation", BigInteger, nullable=False, server_default="0"),
    Column("passage_count", BigInteger, nullable=False, server_default="0"),
    Column("term_count", BigInteger, nullable=False, server_default="0"),
    CheckConstraint("one_row", name="corpus_one_row"),
)

cache_entries = Table(
    "cache_entries",
    metadata,
    Column("key", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("size", Integer, nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("cache_entries_expires_at", "expires_at"),
    prefixes=["UNLOGGED"],
)

# Answers to requests with an idempotency key. status: none while the request is under way.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text, primary_key=True),  # a hash of the request's method, path and key
    Column("fingerprint", Text, nullable=False),
    Column("claim", UUID(as_uuid=True), nullable=False),
    Column("claimed_until", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("made", Text),  # what the request has made, noted in the same transaction
    Column("status", SmallInteger),
    Column("headers", JSONB),
    Column("body", LargeBinary),
    Index("idempotency_keys_expires_at", "expires_at"),
)

# Who did what. Rows are added and never changed; a trigger sees to it.
audit_events = Table(
    "audit_events",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _now("at"),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("who_id", Text, nullable=False, server_default="local"),
    Column("who", Text, nullable=False, server_default="local"),
    Index("audit_events_at", "at"),
)

# Metrics over time: a row is what one run of a process measured in `seconds` from `at` on.
metrics_history = Table(
    "metrics_history",
    metadata,
    Column("seconds", Integer, primary_key=True, autoincrement=False),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("run", UUID(as_uuid=True), primary_key=True),
    Column("process", Text, nullable=False),
    Column("measured", JSONB, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", UUID(as_uuid=True), primary_key=True),
    Column("owner", Text, nullable=False, server_default="local"),
    Column("share", Text, unique=True),
    Column("title", Text, nullable=False),
    # another one with every change of its turns, and never one that was there before
    Column("version", BigInteger, nullable=False, server_default="0"),
    _now("created_at"),
    _now("updated_at"),
    Column("deleted_at", DateTime(timezone=True)),
)
Index("sessions_updated_at", sessions.c.updated_at)
Index("sessions_owner", sessions.c.owner, sessions.c.updated_at)

turns = Table(
    "turns",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("session_id", UUID(as_uuid=True), ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("question", Text, nullable=False),
    Column("answer_text", Text, nullable=False),
    Column("answer", JSONB, nullable=False),
    Column("mode", Text, nullable=False),
    Column("filter", JSONB, nullable=False),
    Column("vote", Text),
    Column("reason", Text, nullable=False, server_default=""),
    _now("created_at"),
    UniqueConstraint("session_id", "position", name="turns_position"),
    CheckConstraint("vote in ('up', 'down')", name="turns_vote"),
)

# Sets of questions to measure rerankers by. own_corpus: its judgments are of `set_records`, which
# are ingested as documents under the set's name as a tag.
question_sets = Table(
    "question_sets",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("own_corpus", Boolean, nullable=False, server_default=text("false")),
    _now("created_at"),
    Column("deleted_at", DateTime(timezone=True)),
)
Index(
    "question_sets_name",
    question_sets.c.name,
    unique=True,
    postgresql_where=question_sets.c.deleted_at.is_(None),
)

set_records = Table(
    "set_records",
    metadata,
    Column("set_id", Integer, ForeignKey("question_sets.id", ondelete="CASCADE"), primary_key=True),
    Column("record_id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("file_name", Text, nullable=False),  # of the document that it becomes
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
)

set_questions = Table(
    "set_questions",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("set_id", Integer, ForeignKey("question_sets.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),  # its id in files
    Column("text", Text, nullable=False),
    Column("answerable", Boolean, nullable=False),
    Column("more", JSONB, nullable=False, server_default=text("'{}'")),  # what else its line held
    Column("deleted_at", DateTime(timezone=True)),
    UniqueConstraint("set_id", "key", name="set_questions_key"),
)

# By name and content, not by id: a judgment outlives its passage's being indexed again.
judgments = Table(
    "judgments",
    metadata,
    Column("question_id", Integer, ForeignKey("set_questions.id", ondelete="CASCADE"), primary_key=True),
    Column("file_name", Text, primary_key=True),
    Column("content_hash", Text, primary_key=True),  # of a passage; empty: the whole document
    Column("gain", SmallInteger, nullable=False),
    Column("title", Text, nullable=False),
    Column("text", Text, nullable=False),
)

reranker_votes = Table(
    "reranker_votes",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _now("at"),
    Column("question", Text, nullable=False),
    Column("left_reranker", Text, nullable=False),
    Column("right_reranker", Text, nullable=False),
    Column("left_passages", ARRAY(Integer), nullable=False),
    Column("right_passages", ARRAY(Integer), nullable=False),
    Column("blind", Boolean, nullable=False),
    Column("choice", Text, nullable=False),
    CheckConstraint("choice in ('left', 'right', 'tie')", name="reranker_votes_choice"),
)

# worker, claimed_until: the process that works on it, as long as it says so again and again.
runs = Table(
    "runs",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("set_id", Integer, ForeignKey("question_sets.id", ondelete="CASCADE"), nullable=False),
    Column("rerankers", ARRAY(Text), nullable=False),
    Column("settings", JSONB, nullable=False),
    Column("status", Text, nullable=False),
    Column("error", Text, nullable=False, server_default=""),
    Column("worker", UUID(as_uuid=True)),
    Column("claimed_until", DateTime(timezone=True)),
    _now("started_at"),
    Column("finished_at", DateTime(timezone=True)),
    Column("deleted_at", DateTime(timezone=True)),
    CheckConstraint("status in ('running', 'cancelled', 'failed', 'done')", name="runs_status"),
)

run_results = Table(
    "run_results",
    metadata,
    Column("run_id", Integer, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("question_id", Integer, ForeignKey("set_questions.id", ondelete="CASCADE"), primary_key=True),
    Column("reranker", Text, primary_key=True),
    Column("ndcg", Float),
    Column("mrr", Float),
    Column("recall", Float),
    Column("reachable", Float),
    Column("confidence", Float, nullable=False),
    Column("milliseconds", Float, nullable=False),
    Column("cost_usd", Float),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("notice", Text, nullable=False),
    Column("error", Text, nullable=False),
)

# Real questions that a challenger scored too, after they were answered.
challenges = Table(
    "challenges",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _now("at"),
    Column("turn_id", BigInteger, ForeignKey("turns.id", ondelete="SET NULL"), index=True),
    Column("question", Text, nullable=False),
    Column("champion", Text, nullable=False),
    Column("challenger", Text, nullable=False),
    Column("same_first", Boolean),
    Column("overlap", Float),
    Column("kendall", Float),
    Column("rbo", Float),
    Column("citations_kept", Float),
    Column("milliseconds", Float, nullable=False),
    Column("cost_usd", Float),
    Column("error", Text, nullable=False),
    Column("dropped_before", Integer, nullable=False),
    Index("challenges_pair", "champion", "challenger", "at"),
)

# What operators chose while Dossier runs, in the place of a setting.
choices = Table(
    "choices",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    _now("chosen_at"),
)
