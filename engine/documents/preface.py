"""What a passage is about that its own text does not say: its document, its headings, its table.

Words and late interaction see all of it. The passage's vector is made without the document's
title, which pulls all passages of a document to one place: with it, dense nDCG@10 fell on
xquad-en, xquad-vi and squad2-en, while the other two gained.
"""

from __future__ import annotations

HEADING_SEPARATOR = " › "


def preface(text: str, heading: str, context: str, title: str = "") -> str:
    """Lines to read before a passage's text; what the text holds already is left out.

    heading: the headings above it, joined with HEADING_SEPARATOR. context: its table's header.
    """
    headings = [h for h in heading.split(HEADING_SEPARATOR) if h and not text.startswith(h)]
    said = "\n".join((heading, text)).casefold()
    lines = ["" if title.casefold() in said else title, HEADING_SEPARATOR.join(headings), context]
    return "\n".join(line for line in lines if line)
