"""How long the app takes to be back after a kill: from its new process to its first answer.

    python -m benchmarks.start [--runs 9] [--json]

One home with the sample corpus on the embedded PostgreSQL, prepared models, no settings. Each run
ends the serving process by SIGKILL and starts another at once. *killed all* ends PostgreSQL as well, as
when the power goes: the server must replay its log. Processor seconds are those of the app's own process.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from benchmarks.loading.serving import free_port
from benchmarks.tables import ROOT, print_table
from engine.settings import Settings

WAITED_SECONDS = 120.0
LOOK_SECONDS = 0.01
QUESTION = json.dumps({"question": "How many quotations are needed for a purchase?"}).encode()
SAMPLE = ROOT / "app" / "sample"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    models = Path(os.environ.get("DOSSIER_TEST_HOME", ROOT / ".dossier")) / "models"
    models.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="start-") as folder:
        home = Path(folder)
        home.chmod(0o755)
        (home / "models").symlink_to(models.resolve())
        subprocess.run(
            [sys.executable, "-m", "engine", "ingest", str(SAMPLE)],
            cwd=ROOT,
            env=_environment(home),
            check=True,
            stdout=subprocess.DEVNULL,
        )
        rows = {}
        for name, all_ in (("killed app", False), ("killed all", True)):
            measured = [_once(home, all_) for _ in range(options.runs)]
            rows[name] = {
                column: (round(statistics.median(values), 2), round(max(values), 2))
                for column, values in zip(
                    ("ready_s", "answered_s", "processor_s"), zip(*measured, strict=True), strict=True
                )
            }
    if options.json:
        print(json.dumps(rows))
        return
    print_table(
        ("median (longest) of " + str(options.runs), "ready, s", "first answer, s", "processor, s"),
        [(name, *(f"{m} ({most})" for m, most in row.values())) for name, row in rows.items()],
    )


def _once(home: Path, all_: bool) -> tuple[float, float, float]:
    """Seconds to ready, to the first answer, and of processor, after a kill of one that has served."""
    with _app(home) as (_, address):
        _answer(address)
        if all_:
            postmaster = psutil.Process(int((home / "postgres" / "postmaster.pid").read_text().split()[0]))
            for process in (*postmaster.children(recursive=True), postmaster):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
    began = time.perf_counter()
    with _app(home) as (process, address):
        ready = time.perf_counter() - began
        _answer(address)
        answered = time.perf_counter() - began
        spent = psutil.Process(process.pid).cpu_times()
        return ready, answered, spent.user + spent.system


@contextlib.contextmanager
def _app(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Given when it is ready; killed in the end."""
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "app.server:app", "--port", str(port)]
    log = home / "app.log"
    with log.open("ab") as written:
        process = subprocess.Popen(command, cwd=ROOT, env=_environment(home), stdout=written, stderr=written)
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + WAITED_SECONDS
    try:
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"{address}/ready", timeout=WAITED_SECONDS).close()
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(log.read_text()[-3000:])
            time.sleep(LOOK_SECONDS)
        yield process, address
    finally:
        process.kill()
        process.wait()


def _answer(address: str) -> None:
    request = urllib.request.Request(
        f"{address}/api/ask", QUESTION, {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=WAITED_SECONDS) as response:
        assert json.load(response)["text"]


def _environment(home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}
    return {**kept, "DOSSIER_HOME": str(home)}


if __name__ == "__main__":
    main()
