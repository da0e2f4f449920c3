"""Text from documents, models and people, made safe to show: it is data, not markup."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# Everything that Markdown, Streamlit's directives (":red[…]") or LaTeX could read.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&=\"'@])")
_BETWEEN = "\N{WORD JOINER}"  # invisible; ":name:" with it is no emoji or icon
_SHORT = 48


def plain(text: str) -> str:
    """Text for a label or another Markdown element, to be shown as it is, on one line."""
    text = re.sub(r":(?=[\w+/-]+:)", f":{_BETWEEN}", " ".join(text.split()))
    return _MARKUP.sub(lambda match: f"&#{ord(match[1])};", text)


def short(text: str, length: int = _SHORT) -> str:
    """The beginning of a text, cut at a word where there is one."""
    if len(text) <= length:
        return text
    cut = text[:length].rsplit(" ", 1)[0] if " " in text[: length // 2] else text[: length - 1]
    return cut.rstrip(" ,;:.") + "…"


def escape(text: str) -> str:
    """Text for `st.html`."""
    return html.escape(text)


def marked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """HTML of a text with the characters of each (start, end) highlighted; all of it escaped."""
    parts: list[str] = []
    done = 0
    for start, end in sorted(spans):
        start, end = max(start, done), min(end, len(text))
        if start < end:
            parts += [html.escape(text[done:start]), f"<mark>{html.escape(text[start:end])}</mark>"]
            done = end
    return "".join(parts) + html.escape(text[done:])


def size(count: int) -> str:
    """Bytes for people."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 10 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def counted(count: int, noun: str) -> str:
    """A number with its noun: 1 document, 2 documents."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
