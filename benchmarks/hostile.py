"""Mutated files through the API and its pre-check child, as Markdown: no 500, and memory that stays where it was.

    python -m benchmarks.hostile [--files 100000] [--seed 0]

At a measured rate below 50 files a second a tenth of them is sent, and the table says so.
"""

import argparse
import random
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.load import wait_for_set
from benchmarks.service import Server, serving, tiny_entry, tiny_set

PROBE_FILES = 500
LEAST_RATE = 50
GROWTH_BYTES = 64 * 1024 * 1024
RAW = {"Content-Type": "application/octet-stream"}


def main() -> None:
    """Send the files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seedgolf-hostile-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        valset = tiny_set(folder)
        with serving(folder, workers=1) as server:
            wait_for_set(server, valset)
            run(server, given.files, random.Random(given.seed), valset)


def run(server: Server, files: int, rng: random.Random, valset: str) -> None:
    """Send a first part to measure the rate, then the rest."""
    start, good = time.perf_counter(), tiny_entry("good")
    answers = send(server, good, PROBE_FILES, rng, valset)
    rate = PROBE_FILES / (time.perf_counter() - start)
    wanted = files if rate >= LEAST_RATE else files // 10
    before = resident_bytes(server)
    answers += send(server, good, max(0, wanted - PROBE_FILES), rng, valset)
    grown = resident_bytes(server) - before
    print("| measurement | value |\n| --- | --- |")
    print(f"| files (of {files} at {LEAST_RATE}/s or more) | {sum(answers.values())} |")
    print(f"| files per second, first {PROBE_FILES} | {rate:.0f} |")
    for outcome, number in sorted(answers.items()):
        print(f"| {outcome} | {number} |")
    print(f"| growth of the API and its child after the first {PROBE_FILES} | {grown / 2**20:.1f} MiB |")
    assert not any(outcome.startswith("5") for outcome in answers)
    assert grown < GROWTH_BYTES


def send(server: Server, good: bytes, files: int, rng: random.Random, valset: str) -> Counter[str]:
    """Send mutated files; how many answers there were of each kind."""
    answers: Counter[str] = Counter()
    with server.client as client:
        for _ in range(files):
            answer = client.post(f"/verify?valset={valset}", content=mutated(good, rng), headers=RAW)
            if answer.status_code == 429:
                time.sleep(int(answer.headers["retry-after"]))
            body = answer.json()
            answers[f"{answer.status_code} {body.get('state') or body['code']}"] += 1
    return answers


def mutated(good: bytes, rng: random.Random) -> bytes:
    """A file with some bytes flipped, cut, doubled or replaced; mostly in its head, where the rules are."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        place = rng.randrange(min(len(data), 2000) if rng.random() < 0.7 else len(data))
        length = rng.choice((1, 1, 2, 4, 32))
        match rng.randrange(4):
            case 0:
                data[place] ^= 1 << rng.randrange(8)
            case 1:
                del data[place : place + length]
            case 2:
                data[place:place] = data[place : place + length]
            case _:
                data[place : place + length] = rng.randbytes(length)
        if not data:
            return b""
    return bytes(data)


def resident_bytes(server: Server) -> int:
    """The resident size of the API and its pre-check child."""
    api = server.children()["API"][0]
    children = Path(f"/proc/{api}/task/{api}/children").read_text().split()
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in (api, *children)]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("VmRSS")]
    return sum(int(line.split()[1]) * 1024 for line in lines)


if __name__ == "__main__":
    main()
