"""What zipfile raises for an archive that is damaged, encrypted or packed in a way it does not know.

It documents only BadZipFile; the others come from the unpackers beneath it. RuntimeError is for an
encrypted member and, by a kind of its own, for an unknown way of packing.
"""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib

UNREADABLE_ZIP: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
)
