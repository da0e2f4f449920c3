"""Widgets for choosing documents: by type, language, tag, status and date."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import TypeVar

import streamlit as st

from app.text import counted, escape, short
from engine.documents.model import STATUSES, DocumentFilter
from engine.documents.queries import Facets

Value = TypeVar("Value")
FIELDS = ("types", "languages", "tags", "statuses", "from", "to", "collections")  # ends of their keys
LANGUAGES = {"en": "English", "vi": "Vietnamese", "und": "Unknown"}


def language_name(code: str) -> str:
    """A language's English name, or its code where it has none here."""
    return LANGUAGES.get(code, code)


def filter_words(filter: DocumentFilter, collections: Mapping[int, str]) -> str:
    """What a filter lets through, in a few words; empty for one that lets all through.

    collections: their names, by number.
    """
    parts = [counted(len(filter.document_ids), "document")] if filter.document_ids else []
    parts += [
        " or ".join(names)
        for names in (
            [collections.get(number, f"collection {number}") for number in filter.collection_ids],
            [name.upper() for name in filter.types],
            [language_name(code) for code in filter.languages],
            [*filter.tags],
            [*filter.statuses],
        )
        if names
    ]
    if filter.published_from or filter.published_to:
        parts.append(f"published {filter.published_from or '…'} to {filter.published_to or '…'}")
    return short(", ".join(parts), 80)


def filter_fields(facets: Facets, given: DocumentFilter, key: str) -> DocumentFilter:
    """Draw the fields, filled from `given`, and return what they say now."""
    collections = given.collection_ids
    if len(facets.collections) > 1:
        collections = tuple(
            st.multiselect(
                "Collection",
                _with(tuple(facets.collections), collections),
                collections,
                format_func=lambda number: facets.collections.get(number, f"Collection {number}"),
                key=f"{key}-collections",
                placeholder="Any",
                select_all=False,
            )
        )
    left, right = st.columns(2)
    with left:
        types = st.multiselect(
            "Type",
            _with(facets.types, given.types),
            given.types,
            key=f"{key}-types",
            placeholder="Any",
            select_all=False,
        )
        tags = st.multiselect(
            "Tag",
            _with(facets.tags, given.tags),
            given.tags,
            key=f"{key}-tags",
            placeholder="Any",
            select_all=False,
        )
        begin = date_field("Published from", given.published_from, f"{key}-from")
    with right:
        languages = st.multiselect(
            "Language",
            _with(facets.languages, given.languages),
            given.languages,
            format_func=language_name,
            key=f"{key}-languages",
            placeholder="Any",
            select_all=False,
        )
        statuses = st.multiselect(
            "Status",
            STATUSES,
            given.statuses,
            format_func=str.capitalize,
            key=f"{key}-statuses",
            placeholder="Any",
            select_all=False,
        )
        end = date_field("Published until", given.published_to, f"{key}-to")
    if begin and end and end < begin:
        st.html(f'<div class="hint">{escape("No day lies between these two dates.")}</div>')
    return replace(
        given,
        types=tuple(types),
        languages=tuple(languages),
        tags=tuple(tags),
        statuses=tuple(statuses),
        published_from=begin,
        published_to=end,
        collection_ids=collections,
    )


def _with(options: tuple[Value, ...], chosen: tuple[Value, ...]) -> list[Value]:
    """The values in use; a chosen one stays although nothing has it any more."""
    return [*options, *(value for value in chosen if value not in options)]


def date_field(label: str, value: date | None, key: str) -> date | None:
    """A date that may be left open, further back and ahead than Streamlit offers by itself."""
    return st.date_input(
        label, value, key=key, format="YYYY-MM-DD", min_value=date(1900, 1, 1), max_value=date(2200, 12, 31)
    )
