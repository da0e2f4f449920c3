"""What a process is called where several are seen."""

from __future__ import annotations

import os
import socket


def process_name() -> str:
    """Its host, and its number there."""
    return f"{socket.gethostname()}:{os.getpid()}"
