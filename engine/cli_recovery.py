"""Backup and restore on the command line; neither opens an engine."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict
from pathlib import Path

from engine.cli_entrance import print_json
from engine.opening import open_database
from engine.recovery.container import Manifest
from engine.settings import Settings
from engine.storage.migrate import migrate


def add_recovery_commands(command: Callable[..., argparse.ArgumentParser]) -> None:
    """Declare them."""
    backup = command("backup", "Write all there is into one file, while Dossier runs on.")
    backup.add_argument("file", type=Path, metavar="FILE")

    restore = command("restore", "Put a backup back: all of it, compared with the backup, or nothing.")
    restore.add_argument("file", type=Path, metavar="FILE")
    restore.add_argument("--check", action="store_true", help="only tell whether the file is whole")
    restore.add_argument("--replace", metavar="SCHEMA", help="drop all that is in this schema first")


async def _backup(settings: Settings, options: argparse.Namespace) -> int:
    from engine.recovery.backup import back_up

    async with _stoppable(), AsyncExitStack() as stack:
        database = await open_database(stack, settings)
        manifest = await back_up(database, options.file, progress)
    return _told(manifest, f"{options.file} holds", options)


async def _restore(settings: Settings, options: argparse.Namespace) -> int:
    from engine.recovery.container import read_manifest
    from engine.recovery.restore import restore

    if options.check:
        return _told(read_manifest(options.file, progress), f"{options.file} is whole; it holds", options)
    async with _stoppable(), AsyncExitStack() as stack:
        database = await open_database(stack, settings)
        manifest = await restore(database, options.file, options.replace, progress)
        await migrate(database)
    return _told(manifest, "Restored, and compared with the backup:", options)


def _told(manifest: Manifest, what: str, options: argparse.Namespace) -> int:
    if options.json:
        print_json({"backup": asdict(manifest)})
        return 0
    counts = ", ".join(
        f"{manifest.tables[table].rows:,} {table}"
        for table in ("documents", "passages", "sessions", "turns")
        if table in manifest.tables
    )
    print(f"{what} {counts} as of {manifest.made_at} (revision {manifest.revision}).")
    return 0


@asynccontextmanager
async def _stoppable() -> AsyncIterator[None]:
    """A polite SIGTERM cleans up as Ctrl-C does."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def progress(what: str, done: int, total: int) -> None:
    """One line a piece of work, written over while it grows; elsewhere than on a terminal its end only."""
    if done >= total or sys.stderr.isatty():
        end = "" if done < total else "\n"
        print(f"\r{what}: {done:,}/{total:,}   ", end=end, file=sys.stderr, flush=True)


RECOVERY_COMMANDS = {"backup": _backup, "restore": _restore}
