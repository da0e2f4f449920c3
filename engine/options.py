"""What the settings say to single parts, in those parts' own terms."""

from __future__ import annotations

from pathlib import Path

from engine.answering.evidence import ANSWER_THRESHOLD
from engine.answering.progress import AskingLimits
from engine.caching.caches import CacheOptions
from engine.documents.parsing import ParsingLimits
from engine.reranking.options import RerankerOptions
from engine.retrieval.embedders import EmbedderOptions
from engine.settings import Settings


def embedder_options(settings: Settings, home: Path) -> EmbedderOptions:
    """home: DOSSIER_HOME, where models are kept."""
    return EmbedderOptions(
        models_folder=home / "models",
        threads=settings.model_threads,
        openai_api_key=settings.openai_api_key.get_secret_value(),
        openai_base_url=settings.openai_base_url or None,
        openai_model=settings.openai_embedder_model,
        openai_timeout_seconds=settings.openai_timeout_seconds,
        bge_model=settings.bge_embedder_name,
        device=settings.bge_device,
    )


def reranker_options(settings: Settings, home: Path) -> RerankerOptions:
    """home: DOSSIER_HOME, where models are kept."""
    return RerankerOptions(
        models_folder=home / "models",
        threads=settings.model_threads,
        bge_model=settings.bge_model_name,
        device=settings.bge_device,
        timeout_seconds=settings.reranker_timeout_seconds,
        openai_api_key=settings.openai_api_key.get_secret_value(),
        openai_base_url=settings.openai_base_url or None,
        openai_model=settings.openai_reranker_model,
        openai_parallel=settings.openai_reranker_use_parallel,
        openai_max_workers=settings.openai_reranker_max_workers,
        openai_listwise=settings.openai_reranker_listwise,
        openai_timeout_seconds=settings.openai_reranker_timeout_seconds,
        openai_max_retries=settings.openai_max_retries,
        remote_url=settings.reranker_url.get_secret_value(),
        remote_api_key=settings.reranker_api_key.get_secret_value(),
        remote_model=settings.reranker_model,
        remote_api=settings.reranker_api,
        cascade_strong=settings.cascade_strong,
        cascade_depth=settings.cascade_depth,
    )


def parsing_limits(settings: Settings) -> ParsingLimits:
    """How large a file may be, and how long it may take."""
    return ParsingLimits(
        max_file_bytes=settings.max_upload_bytes,
        max_uncompressed_bytes=settings.max_uncompressed_bytes,
        max_text_characters=settings.max_text_characters,
        max_pages=settings.max_pages,
        max_columns=settings.max_table_columns,
        max_rows=settings.max_table_rows,
        timeout_seconds=settings.parse_timeout_seconds,
        max_memory_bytes=settings.parse_memory_bytes,
    )


def asking_limits(settings: Settings) -> AskingLimits:
    """How much is read for an answer."""
    return AskingLimits(
        k=settings.default_retrieval_k,
        top_n=settings.default_rerank_top_n,
        question_characters=settings.max_question_characters,
        history_turns=settings.answer_history_turns,
    )


def chosen_by_settings(settings: Settings) -> tuple[str, float]:
    """The default reranker and the answer threshold, until an operator chooses others."""
    threshold = settings.answer_threshold if settings.answer_threshold >= 0 else ANSWER_THRESHOLD
    return settings.default_reranker_type, threshold


def cache_options(settings: Settings) -> CacheOptions:
    """What is cached where, and for how long."""
    return CacheOptions(
        prefix=f"dossier:cache:{settings.database_schema}:",
        use_redis=settings.enable_redis_cache,
        use_postgres=settings.enable_postgres_cache,
        l1_entries=settings.l1_cache_maxsize,
        l1_bytes=settings.l1_cache_max_bytes,
        l3_bytes=settings.l3_cache_max_bytes,
        embedding_seconds=settings.cache_ttl_embeddings,
        retrieval_seconds=settings.cache_ttl_retrieval,
        semantic_threshold=settings.semantic_cache_threshold if settings.enable_semantic_cache else None,
    )
