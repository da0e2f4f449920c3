"""A cited page is drawn with the quotation marked, wherever its lines break."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from engine.documents.page_images import render_page
from engine.documents.parsing import parse
from engine.documents.passages import split_passages
from engine.errors import NotFound, UnreadableFile
from engine.text.sentences import split_sentences
from tests.documents.make_files import PdfLine, pdf, scanned_pdf

LINES = ["Nhà thầu phải nộp bảo đảm", "dự thầu trước thời điểm đóng", "thầu. Sau đó không nhận nữa."]
PAGE = [PdfLine(text, y=700 - 14 * i) for i, text in enumerate(LINES)]
CONTENT = pdf([PAGE, [PdfLine("Another page.")]])
QUOTE = "Nhà thầu phải nộp bảo đảm dự thầu trước thời điểm đóng thầu."


def test_the_quotation_is_marked_line_by_line() -> None:
    image = render_page(CONTENT, 1, QUOTE, scale=2)
    assert image.found and len(image.boxes) == 3
    drawn = Image.open(io.BytesIO(image.png))
    assert drawn.size == (image.width, image.height) == (1190, 1684)
    for left, top, right, bottom in image.boxes:
        assert 0 <= left < right <= image.width and 0 <= top < bottom <= image.height
        assert drawn.getpixel((right - 1, (top + bottom) // 2)) != (255, 255, 255)
    tops = [top for _, top, _, _ in image.boxes]
    assert tops == sorted(tops)


@pytest.mark.parametrize(
    "quote",
    [
        QUOTE.upper(),
        "nhà   thầu phải\nnộp bảo đảm dự thầu",
        "Nhà thầu phải nộp bảo-đảm dự thầu",
        QUOTE + " This went on elsewhere.",
    ],
)
def test_white_space_hyphens_case_and_a_cut_end_do_not_matter(quote: str) -> None:
    assert render_page(CONTENT, 1, quote).found


@pytest.mark.parametrize("quote", ["", "…", "What this page does not say at all, not even in part."])
def test_a_page_without_the_quotation_is_drawn_unmarked(quote: str) -> None:
    image = render_page(CONTENT, 1, quote)
    assert not image.found and image.boxes == () and image.png.startswith(b"\x89PNG")


def test_a_picture_has_nothing_to_mark() -> None:
    assert not render_page(scanned_pdf(1), 1, QUOTE).found


def test_pages_that_are_not_there_and_files_that_are_no_pdf() -> None:
    with pytest.raises(NotFound):
        render_page(CONTENT, 3, QUOTE)
    with pytest.raises(NotFound):
        render_page(CONTENT, 0, QUOTE)
    with pytest.raises(UnreadableFile):
        render_page(b"no pdf", 1, QUOTE)


def test_no_scale_makes_a_picture_of_unbounded_size() -> None:
    image = render_page(CONTENT, 1, QUOTE, scale=1_000)
    assert image.width * image.height <= 12_100_000


def test_many_threads_draw_the_same() -> None:
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(lambda _: render_page(CONTENT, 1, QUOTE), range(16)))
    assert len({image.png for image in images}) == 1


def test_sentences_of_a_real_manual_are_found_on_their_page(shared_data: Path) -> None:
    path = shared_data / "manuals-en" / "fhs-3.0.pdf"
    content = path.read_bytes()
    passages = [p for p in split_passages(parse(content, path.name)) if len(p.text) > 300][::8]
    found = 0
    for passage in passages:
        spans = split_sentences(passage.text)
        start, end = max(spans, key=lambda span: span[1] - span[0])
        pages = range(passage.page or 1, (passage.last_page or 1) + 2)
        found += any(
            render_page(content, page, passage.text[start:end], 0.3).found for page in pages if page <= 50
        )
    assert len(passages) > 8 and found == len(passages)
