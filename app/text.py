"""Text from documents, models and people, made safe to show: it is data, not markup."""

from __future__ import annotations

import html
import re

# Everything that Markdown, Streamlit's directives (":red[…]", ":material/…:") or LaTeX could read.
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:^&=\"'])")


def plain(text: str) -> str:
    """Text for a Markdown element, to be shown as it is."""
    return _MARKUP.sub(lambda match: f"&#{ord(match[1])};", text)


def marked(text: str, start: int, end: int) -> str:
    """HTML of a text with the characters from `start` to `end` highlighted; all of it escaped."""
    before, quote, after = (html.escape(part) for part in (text[:start], text[start:end], text[end:]))
    return f"{before}<mark>{quote}</mark>{after}" if quote else before + after
