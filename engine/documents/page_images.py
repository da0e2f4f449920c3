"""A page of a PDF as a picture, with a quotation marked in it."""

from __future__ import annotations

import io
import math
import threading
import unicodedata
from contextlib import closing
from difflib import SequenceMatcher

import pypdfium2 as pdfium
from PIL import Image, ImageDraw

from engine.documents.model import Box, PageImage
from engine.errors import NotFound, UnreadableFile

_PDFIUM = threading.Lock()  # PDFium is not safe to call from two threads
_MAX_PIXELS = 12_000_000
_HIGHLIGHT = (255, 214, 0, 96)  # translucent, so that letters keep their contrast
_UNDERLINE = (214, 140, 0, 255)
_PADDING = 0.08  # of a line's height
_PARTLY = 0.5  # share of a quotation that must be on the page where not all of it is
_LEAST = 20  # letters of such a part
_MAX_COMPARED = 20_000  # letters of a page within which a part is looked for


def render_page(content: bytes, page: int, quote: str, scale: float = 1.5) -> PageImage:
    """Draw page number `page` (from 1) at `scale` pixels a point, and mark `quote` in it.

    The quotation is found whatever its white space, hyphens, punctuation and case.
    `sandbox.draw_in_process` guards against hostile files. Raises NotFound for a page that is not
    there, UnreadableFile for content that is no PDF or cannot be drawn.
    """
    with _PDFIUM:
        image, boxes = _draw(content, page, quote, scale)
    if boxes:
        image = _mark(image, boxes)
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=4)
    return PageImage(stream.getvalue(), image.width, image.height, tuple(boxes), bool(boxes))


def find_page(content: bytes, first: int, last: int, quote: str, scale: float) -> tuple[int, PageImage]:
    """The page from `first` to `last` on which the quote stands, drawn; where none has it, the first.

    Raises as `render_page` does.
    """
    drawn: list[tuple[int, PageImage]] = []
    for page in range(first, last + 1):
        image = render_page(content, page, quote, scale)
        if image.found:
            return page, image
        drawn.append((page, image))
    return drawn[0]


def _draw(content: bytes, number: int, quote: str, scale: float) -> tuple[Image.Image, list[Box]]:
    try:
        with closing(pdfium.PdfDocument(content)) as document:
            if not 1 <= number <= len(document):
                raise NotFound(f"There is no page {number}; the document has {len(document)}.")
            with closing(document[number - 1]) as page:
                width, height = page.get_size()
                scale = min(scale, math.sqrt(_MAX_PIXELS / max(1.0, width * height)))
                with closing(page.render(scale=scale)) as bitmap:
                    convert = bitmap.get_posconv(page)
                    boxes = [
                        _box(convert.to_bitmap(left, top), convert.to_bitmap(right, bottom))
                        for left, bottom, right, top in _find(page, quote)
                    ]
                    return bitmap.to_pil().convert("RGB"), _merge_lines(boxes)
    except pdfium.PdfiumError as error:
        raise UnreadableFile("This PDF", "damaged", f"its page {number} cannot be drawn.") from error


def _find(page: pdfium.PdfPage, quote: str) -> list[tuple[float, float, float, float]]:
    """Rectangles of the quotation, (left, bottom, right, top) in the page's own units."""
    wanted, _ = _letters(quote)
    if not wanted:
        return []
    with closing(page.get_textpage()) as text_page:
        there, places = _letters(text_page.get_text_range())
        span = _locate(wanted, there)
        if span is None:
            return []
        first, last = places[span[0]], min(places[span[1] - 1], text_page.count_chars() - 1)
        return [text_page.get_rect(i) for i in range(text_page.count_rects(first, last - first + 1))]


def _letters(text: str) -> tuple[str, list[int]]:
    """Letters, marks and digits of a text, decomposed and without case, and where each stands in it."""
    letters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for part in unicodedata.normalize("NFKD", character.casefold()):
            if part.isalnum() or unicodedata.combining(part):
                letters.append(part)
                places.append(place)
    return "".join(letters), places


def _locate(wanted: str, there: str) -> tuple[int, int] | None:
    """Where the quotation is; its longest part on the page, where it runs over from another."""
    start = there.find(wanted)
    if start >= 0:
        return start, start + len(wanted)
    if len(there) > _MAX_COMPARED:
        return None
    match = SequenceMatcher(None, there, wanted, autojunk=False).find_longest_match()
    if match.size < max(_LEAST, _PARTLY * len(wanted)):
        return None
    return match.a, match.a + match.size


def _box(corner: tuple[int, int], opposite: tuple[int, int]) -> Box:
    (x0, y0), (x1, y1) = corner, opposite
    left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
    padding = max(1, round(_PADDING * (bottom - top)))
    return left - padding, top - padding, right + padding, bottom + padding


def _merge_lines(boxes: list[Box]) -> list[Box]:
    """One box for each line: pieces in other fonts or weights join their neighbours."""
    merged: list[Box] = []
    for left, top, right, bottom in boxes:
        if merged:
            last_left, last_top, last_right, last_bottom = merged[-1]
            overlap = min(bottom, last_bottom) - max(top, last_top)
            apart = max(left - last_right, last_left - right)
            if overlap > 0.5 * min(bottom - top, last_bottom - last_top) and apart < 2 * (bottom - top):
                merged[-1] = (
                    min(left, last_left), min(top, last_top), max(right, last_right), max(bottom, last_bottom)
                )  # fmt: skip
                continue
        merged.append((left, top, right, bottom))
    return merged


def _mark(image: Image.Image, boxes: list[Box]) -> Image.Image:
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    for left, top, right, bottom in boxes:
        draw.rectangle((left, top, right, bottom), fill=_HIGHLIGHT)
        draw.line((left, bottom, right, bottom), fill=_UNDERLINE, width=2)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")
