"""Every setting, typed and read once. No other module reads the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from engine.errors import BadInput
from engine.observability.headers import parse_headers


class Settings(BaseSettings):
    """From the environment and `.env`, under the field's name in capitals.

    Unknown names in `.env` are refused, so that a typing mistake fails at start.
    Sizes are in bytes and times in seconds unless the name says otherwise.
    """

    model_config = SettingsConfigDict(
        env_file=".env", frozen=True, extra="forbid", case_sensitive=False, hide_input_in_errors=True
    )

    # where things are
    dossier_home: Path = Field(Path(".dossier"), description="Folder for the embedded database and models")
    database_url: str = Field(
        "", repr=False, description="PostgreSQL ≥ 15 with pgvector; empty runs the embedded one"
    )
    database_schema: str = Field(
        "public", pattern=r"^[a-z_][a-z0-9_]{0,62}$", description="Schema to live in"
    )

    # the pool
    database_pool_size: int = Field(10, ge=1, le=200, description="Connections kept per process")
    database_pool_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection")
    database_statement_timeout_seconds: float = Field(30.0, gt=0, description="Longest statement")
    use_pgbouncer: bool = Field(False, description="Connect through pgBouncer, in transaction mode")
    pgbouncer_url: str = Field(
        "",
        repr=False,
        validate_default=True,
        description="pgBouncer's address; migrations still go to the database's own",
    )

    # retrieval
    embedder: str = Field("multilingual-e5-small", description="Which embedder indexes and searches")
    bge_embedder_name: str = Field("BAAI/bge-m3", description="Hub name or folder of the bge-m3 embedder")
    bge_device: str = Field("auto", description="auto, cpu, cuda or mps, for BGE models")
    openai_embedder_model: str = Field("text-embedding-3-small", description="Model of the openai embedder")
    default_reranker_type: str = Field("built-in", description="Which reranker orders candidates")
    default_retrieval_k: int = Field(50, ge=1, le=1000, description="Candidates taken from each search")
    default_rerank_top_n: int = Field(5, ge=1, le=50, description="Passages that an answer is given")
    model_threads: int = Field(0, ge=0, le=256, description="Threads of a local model; 0 is one per core")

    # rerankers
    bge_model_name: str = Field("BAAI/bge-reranker-v2-m3", description="Hub name or folder of bge's model")
    reranker_timeout_seconds: float = Field(
        5.0, gt=0, description="Longest wait for a reranker here or behind RERANKER_URL"
    )
    openai_reranker_model: str = Field("gpt-4o-mini", description="Language model of the openai reranker")
    openai_reranker_use_parallel: bool = Field(True, description="Score passages at once, not in turn")
    openai_reranker_max_workers: int = Field(10, ge=1, le=200, description="Most requests at once")
    openai_reranker_listwise: bool = Field(False, description="Rank all passages in one request")
    openai_reranker_timeout_seconds: float = Field(10.0, gt=0, description="Longest wait for a question")
    reranker_url: SecretStr = Field(
        SecretStr(""), description="A server with a `/rerank`: TEI, Infinity, vLLM, Jina, Cohere"
    )
    reranker_api_key: SecretStr = Field(SecretStr(""), description="Key for RERANKER_URL")
    reranker_model: str = Field("", description="Model to ask for at RERANKER_URL")
    reranker_api: Literal["auto", "tei", "jina"] = Field(
        "auto", description="Which form RERANKER_URL speaks; auto finds out"
    )
    cascade_strong: str = Field("bge", description="The cascade's reranker of the best few")
    cascade_depth: int = Field(10, ge=1, le=200, description="How many those few are")

    challenger_reranker: str = Field(
        "", description="Scores a share of real questions too, after they were answered; empty is off"
    )
    challenger_share: float = Field(0.1, ge=0, le=1, description="That share")

    # Redis
    enable_redis_cache: bool = Field(False, description="Share cached results through Redis")
    enable_redis_sessions: bool = Field(False, description="Keep a hot copy of sessions in Redis")
    redis_url: SecretStr = Field(SecretStr("redis://127.0.0.1:6379/0"), description="Redis or Valkey")
    redis_timeout_seconds: float = Field(0.06, gt=0, le=5, description="Longest wait for Redis")
    session_ttl_seconds: int = Field(86_400, ge=1, description="Life of a session's copy in Redis")
    session_max_messages: int = Field(100, ge=1, description="Latest turns of a session kept in Redis")

    # the cache
    l1_cache_maxsize: int = Field(2000, ge=0, description="Entries of the in-process cache layer; 0 is off")
    l1_cache_max_bytes: int = Field(128_000_000, ge=0, description="Bytes of the in-process cache layer")
    enable_postgres_cache: bool = Field(True, description="Keep cached results in PostgreSQL too")
    l3_cache_max_bytes: int = Field(500_000_000, ge=0, description="Bytes of the cache in PostgreSQL")
    enable_semantic_cache: bool = Field(
        False, description="Serve a question as an earlier one that is nearly the same"
    )
    semantic_cache_threshold: float = Field(
        0.985, ge=0.9, le=1, description="Least token similarity of nearly the same questions"
    )
    cache_ttl_embeddings: int = Field(86_400, ge=1, description="Life of a cached query embedding")
    cache_ttl_retrieval: int = Field(3_600, ge=1, description="Life of a cached retrieval result")

    # answering
    openai_api_key: SecretStr = Field(
        SecretStr(""), description="Key; with it, answers are written by a model"
    )
    openai_base_url: str = Field("", description="An OpenAI-compatible endpoint; empty is OpenAI's own")
    openai_model: str = Field("gpt-4o-mini", description="Language model that writes answers")
    openai_timeout_seconds: float = Field(30.0, gt=0, description="Longest wait for the model's next piece")
    openai_max_retries: int = Field(2, ge=0, le=10, description="Repeats of a failed request")
    answer_threshold: float = Field(
        -1.0, ge=-1, le=1, description="Confidence below which no answer is given; -1 takes the measured one"
    )
    answer_history_turns: int = Field(
        6, ge=0, le=50, description="Earlier turns that a follow-up may refer to"
    )

    # limits
    max_upload_bytes: int = Field(100_000_000, ge=1, description="Largest file")
    max_uncompressed_bytes: int = Field(
        500_000_000, ge=1, description="Largest content of an Office file unpacked"
    )
    max_text_characters: int = Field(20_000_000, ge=1, description="Longest text of one document")
    max_pages: int = Field(5_000, ge=1, description="Most pages, slides or sheets")
    max_table_columns: int = Field(500, ge=1, description="Widest table")
    max_table_rows: int = Field(200_000, ge=1, description="Longest table")
    max_question_characters: int = Field(4_000, ge=1, description="Longest question")
    parse_timeout_seconds: float = Field(120.0, gt=0, description="Longest parsing of one file")
    parse_memory_bytes: int = Field(
        2_000_000_000, ge=200_000_000, description="Memory of one parsing process"
    )
    ingest_concurrency: int = Field(2, ge=1, le=32, description="Files ingested at once")
    delete_grace_seconds: int = Field(86_400, ge=0, description="How long a deletion can be undone")

    # seen from outside
    enable_metrics_endpoint: bool = Field(True, description="Serve /metrics for Prometheus")
    otlp_endpoint: str = Field(
        "", pattern=r"^(https?://\S+)?$", description="OpenTelemetry collector (OTLP over HTTP) for traces"
    )
    otlp_headers: SecretStr = Field(SecretStr(""), description="Its headers, as name=value,name=value")

    # who may do what
    access_control: bool = Field(False, description="Ask who comes: accounts, roles, collections, REST keys")
    listen_without_access_control: bool = Field(
        False, description="Serve other machines although nobody is asked who they are"
    )
    questions_at_once: int = Field(
        0,
        ge=0,
        description="Questions searched at once, askers in turn (access control); 0: one a core",
    )
    audit_retention_days: int = Field(365, ge=0, description="How long the audit is kept; 0 is for ever")
    sign_in_seconds: int = Field(43_200, ge=60, description="Life of a browser's sign-in")
    provided_role: Literal["reader", "editor", "operator", "admin"] = Field(
        "reader", description="Role of whoever first comes through an identity provider"
    )
    provided_to: str = Field(
        "",
        description="Addresses and domains (e-mail) let in through it, with commas between; empty: all",
    )

    # REST
    allowed_hosts: str = Field(
        "",
        description="Host names answered to, with commas between; localhost and addresses always, `*` any",
    )
    request_timeout_seconds: float = Field(60.0, gt=0, description="Longest REST request")
    max_requests_in_flight: int = Field(2_000, ge=1, description="REST requests at once, per process")
    rate_limit_enabled: bool = Field(
        False, description="Count REST requests by client address, and what an account asks (pages too)"
    )
    rate_limit_requests_per_minute: int = Field(60, ge=1, description="Most of them a minute")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="Least level logged")

    @field_validator("database_url", "pgbouncer_url")
    @classmethod
    def _asyncpg(cls, url: str) -> str:
        """Accept the usual spellings of a PostgreSQL address."""
        for scheme in ("postgresql+asyncpg://", "postgresql://", "postgres://"):
            if url.startswith(scheme):
                return "postgresql+asyncpg://" + url[len(scheme) :]
        if url:
            raise ValueError("must begin with postgresql://")
        return url

    @field_validator("otlp_headers")
    @classmethod
    def _pairs(cls, headers: SecretStr) -> SecretStr:
        parse_headers(headers.get_secret_value())
        return headers

    @field_validator("pgbouncer_url")
    @classmethod
    def _addressed(cls, url: str, info: ValidationInfo) -> str:
        if info.data.get("use_pgbouncer") and not url:
            raise ValueError("USE_PGBOUNCER needs pgBouncer's address here")
        return url


def load_settings(**given: object) -> Settings:
    """Read the settings; arguments win over the environment.

    Raises BadInput that names each wrong setting, its value where it can be no secret, and what is
    allowed.
    """
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])).upper()}{_shown(problem['loc'], problem['input'])}: "
            f"{problem['msg']}"
            for problem in error.errors()
        ]
        raise BadInput("The settings cannot be used. " + "; ".join(lines)) from error


def _shown(place: tuple[int | str, ...], given: object) -> str:
    """The value as an error may tell it; nothing of a secret, an address, or a name unknown."""
    field = Settings.model_fields.get(str(place[0])) if place else None
    open_to_all = field is not None and field.repr and field.annotation is not SecretStr
    return f"={given!r}" if open_to_all else ""
