"""Files made by chance from honest ones, for every parser; and a command that goes on for longer.

    python -m tests.security.fuzz --minutes 30 [--keep FOLDER] [--formats pdf docx]

One confined process reads them all (`reading.py`). Whatever ends otherwise than read or refused by
name, within 20 seconds, is a find: printed, and kept where a folder is given.
"""

# ruff: noqa: E501

from __future__ import annotations

import argparse
import hashlib
import io
import random
import sys
import time
import zipfile
from pathlib import Path

from engine.documents.parsing import PARSERS
from tests.documents.make_files import Sheet, docx, ods, pdf, pdf_page, pptx, xlsx, zipped
from tests.security.payloads import PAYLOADS
from tests.security.reading import Outcome, Reader

FORMATS = tuple(sorted(set(PARSERS) - {"doc", "xls", "htm"}))
"""Without .doc, which other programs read, and .xls, whose reader takes memory by what a file claims."""

_WORDS = (
    *("Điều 1. ", "Khoản 2. ", "Chương I\n", "Chapter 3. ", "2024-02-30 ", "ngày 31 tháng 2 năm 2024 ", "# ", "- ", "1. ", "| a | b |\n", "\n\n"),
    *("```\n", "<td>", "<table>", "</p>", "&#x41;", "\t", ",", '"', "\r\n", "\u0301", "\u200b", "\ufeff", "(", "“", "…", "A.B.C. ", "IV. "),
    *("Có hiệu lực từ ", "Luật số 1/2024/QH15 ", "Draft v1 ", "effective date: ", "0" * 50, "x" * 400, " " * 100, "." * 80, "=" * 90, "_-" * 60),
)  # fmt: skip


def _seeds() -> dict[str, list[bytes]]:
    texts = ["Meals abroad are refunded.\n\nĐiều 5. Tiền ăn được hoàn.\n", *list(PAYLOADS.values())[::6]]
    rows: list[list[str | float | None]] = [["item", "price", None], ["Bàn", 3.5, "x"], ["Ghế", 1, ""]]
    listed = [[str(cell or "") for cell in row] for row in rows]
    return {
        "pdf": [pdf([pdf_page("Some text.", "More of it.")] * 2, title="T", outline=[("One", 1)]), pdf([[]])],
        "docx": [docx(("Heading 1", "One"), "Text.", ("List Bullet", "item"), listed, title="T")],
        "pptx": [pptx([("Title", ["a", "b"], "notes")], listed)],
        "xlsx": [xlsx(Sheet("s", rows, merged=["A1:B1"]), Sheet("h", rows, hidden=True))],
        "ods": [ods("s", listed)],
        "html": [f"<html><body><h1>x</h1><p>{t}</p><ul><li>a</ul></body></html>".encode() for t in texts],
        "md": [f"# x\n\n{t}\n\n| a | b |\n| - | - |\n| 1 | 2 |\n".encode() for t in texts],
        "csv": [b'item,price\n"a, b",3\nc;d,4\n'],
        "tsv": [b"item\tprice\na\t3\n"],
        "txt": [t.encode("utf-8", "replace") for t in texts],
    }


SEEDS = _seeds()


def make(extension: str, chance: random.Random) -> bytes:
    """A file of that kind: an honest one, damaged in a few places, inside its archive where it is one."""
    content = chance.choice(SEEDS[extension])
    if not zipfile.is_zipfile(io.BytesIO(content)) or chance.random() < 0.2:
        return _damaged(content, chance)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
    for name in chance.sample(sorted(parts), chance.randint(1, 2)):
        parts[name] = _damaged(bytes(parts[name]), chance)  # type: ignore[arg-type]
    return zipped(parts)


def _damaged(content: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        at = chance.randint(0, len(content))
        to = min(len(content), at + chance.choice((0, 1, 1, 4, 30, 300)))
        kind = chance.randint(0, 5)
        if kind == 0:
            put = chance.randbytes(chance.randint(0, 40))
        elif kind == 1:
            put = chance.choice(_WORDS).encode() * chance.choice((1, 1, 3, 200))
        elif kind == 2:
            put = content[at:to] * chance.choice((2, 3, 500))
        elif kind == 3:
            source = chance.randint(0, len(content))
            put = content[source : source + chance.choice((1, 20, 400))]
        elif kind == 4:
            put = str(chance.choice((0, -1, 1, 255, 65_536, 2**31, 2**32 - 1, 10**20))).encode()
        else:
            put = b""
        content = content[:at] + put + content[to:]
    return content


def is_find(outcome: Outcome) -> bool:
    """Whether something other than reading or a refusal by name has happened."""
    return outcome.reason in ("fault", "hung")


def main() -> int:
    """The command; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.security.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", type=Path, help="folder for what was found")
    parser.add_argument("--formats", nargs="*", default=FORMATS, choices=FORMATS)
    given = parser.parse_args()
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(2**32)
    chance, until = random.Random(seed), time.monotonic() + 60 * given.minutes
    counts: dict[str, int] = {}
    found = 0
    with Reader() as reader:
        while time.monotonic() < until:
            extension = chance.choice(given.formats)
            content = make(extension, chance)
            outcome = reader.read(f"a.{extension}", content)
            counts[outcome.reason] = counts.get(outcome.reason, 0) + 1
            if is_find(outcome):
                found += 1
                name = f"{hashlib.sha256(content).hexdigest()[:16]}.{extension}"
                print(f"{name}: {outcome.reason}\n{outcome.message}", flush=True)
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / name).write_bytes(content)
    print(f"seed {seed}: {sum(counts.values()):,} files, {found} finds; {counts}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
