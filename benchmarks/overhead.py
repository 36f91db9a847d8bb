"""What the service adds: from the first byte of the upload to the verdict, minus `seedgolf verify` of the same file.

    python -m benchmarks.overhead                                 Markdown on standard output
    python -m benchmarks.overhead --output docs/results/overhead-DATE.md

One worker, otherwise idle, and the command line take turns on different artifacts of one shape, scored on the tests'
tiny set. The command's start-up is part of its time, as it is part of what a contestant waits for.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.bench_backbone import processor
from benchmarks.service import ROOT, Server, serving, tiny_entry, tiny_set

GOAL_SECONDS = 2.0


def service_seconds(server: Server, data: bytes, valset: str) -> float:
    """From the upload to the verdict."""
    with server.client as client:
        started = time.perf_counter()
        answer = client.post(f"/verify?valset={valset}&wait=60", content=data)
        seconds = time.perf_counter() - started
    if answer.status_code != 200 or answer.json()["state"] != "accepted":
        raise SystemExit(f"expected an accepted artifact, got {answer.status_code} {answer.text}")
    return seconds


def command_seconds(file: Path, valset: str, folder: Path) -> float:
    """From the command to its exit."""
    options = ["--valset", valset, "--valset-dir", str(folder / "valsets")]
    program = [sys.executable, "-m", "seedgolf", "verify", str(file), *options]
    started = time.perf_counter()
    done = subprocess.run(program, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode != 0:
        raise SystemExit(f"seedgolf verify: {done.stderr}")
    return time.perf_counter() - started


def measure(folder: Path, rounds: int) -> list[tuple[float, float]]:
    """Pairs of seconds (service, command), one a round; a first round that warms the caches is left out."""
    valset, pairs = tiny_set(folder), []
    with serving(folder, workers=1) as server:
        for number in range(rounds + 1):
            data = tiny_entry(f"entry {number}")
            file = folder / f"entry{number}.sgolf"
            file.write_bytes(data)
            pairs.append((service_seconds(server, data, valset), command_seconds(file, valset, folder)))
    return pairs[1:]


def table(pairs: list[tuple[float, float]]) -> str:
    """The result in Markdown."""
    service, command = (statistics.median(column) for column in zip(*pairs, strict=True))
    differences = [ours - alone for ours, alone in pairs]
    rows = {
        "upload to verdict through the service, median": service,
        "`seedgolf verify`, median": command,
        "difference, median": statistics.median(differences),
        "difference, largest": max(differences),
        "goal: difference at most": GOAL_SECONDS,
    }
    lines = [f"| {name} | {value:.2f} |" for name, value in rows.items()]
    head = f"# Overhead of the service\n\n{processor()}, {datetime.now(UTC):%Y-%m-%d}, {len(pairs)} rounds.\n"
    return "\n".join([head, "| what | seconds |", "| --- | --- |", *lines, ""])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seedgolf-overhead-", ignore_cleanup_errors=True) as name:
        pairs = measure(Path(name), options.rounds)
    text = table(pairs)
    if options.output:
        options.output.write_text(text)
    print(text)
    sys.exit(statistics.median([ours - alone for ours, alone in pairs]) > GOAL_SECONDS)


if __name__ == "__main__":
    main()
