"""Mutated files through the API and its pre-check child, as Markdown: no 500, and memory that stays where it was.

    python -m benchmarks.hostile [--files 100000] [--seed 0]

At a measured rate below 50 files a second a tenth of them is sent, and the table says so.
"""

import argparse
import copy
import dataclasses
import random
import time
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.service import Server, serving_tiny_set, tiny_draft
from tests.forge import Draft

PROBE_FILES = 500
LEAST_RATE = 50
GROWTH_BYTES = 64 * 1024 * 1024
RAW = {"Content-Type": "application/octet-stream"}
VALUES: tuple[Any, ...] = (
    *(None, True, 0, 1, -1, 3, 7, 2**31, 2**63, 10**400, -0.0, 0.5, 1e308, 16_000_000),
    *("", "1", "relu2", "lora", "a\u0000b", "\u202egnp.exe", "\ud800", "<script>alert(1)</script>", "../../etc/passwd"),
    *("'; DROP TABLE jobs; --", "x" * 100_000, "18446744073709551616", [], {}, [[]], {"": {}}),
    *([0] * 10_000, ["layers"], {"random": "g8"}),
)
"""What hostile people write into a manifest."""


def main() -> None:
    """Send the files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with serving_tiny_set() as (server, valset):
        run(server, given.files, random.Random(given.seed), valset)


def run(server: Server, files: int, rng: random.Random, valset: str) -> None:
    """Send a first part to measure the rate, then the rest."""
    start, good = time.perf_counter(), tiny_draft("good")
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


def send(server: Server, good: Draft, files: int, rng: random.Random, valset: str) -> Counter[str]:
    """Send mutated files; how many answers there were of each kind."""
    answers: Counter[str] = Counter()
    with server.client as client:
        for _ in range(files):
            answer = client.post(f"/verify?valset={valset}", content=mutated(good, rng), headers=RAW)
            if answer.status_code == 429:
                time.sleep(int(answer.headers["retry-after"]))
            body = answer.json()
            answers[
                " ".join(str(part) for part in (answer.status_code, body.get("state"), body.get("code")) if part)
            ] += 1
    return answers


def mutated(good: Draft, rng: random.Random) -> bytes:
    """A file with one part spoilt: any byte of it, a value of its manifest, the tensors, or the zlib stream.

    The last three are sealed again with the right lengths and digest, so that they reach the checks behind these.
    """
    match rng.choice((0, 1, 1, 1, 2, 3)):
        case 0:
            return damaged(good.build(), rng)
        case 1:
            manifest = copy.deepcopy(good.manifest)
            spoil(manifest, rng)
            return dataclasses.replace(good, manifest=manifest, inflated=good.inner()).build()
        case 2:
            return dataclasses.replace(good, inflated=damaged(good.inner(), rng)).build()
        case _:
            return dataclasses.replace(good, stream=lambda inner: damaged(zlib.compress(inner), rng)).build()


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Some bytes flipped, cut, doubled or replaced; mostly in the head, where the rules are."""
    spoilt = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        if not spoilt:
            break
        place = rng.randrange(min(len(spoilt), 2000) if rng.random() < 0.7 else len(spoilt))
        length = rng.choice((1, 1, 2, 4, 32))
        match rng.randrange(4):
            case 0:
                spoilt[place] ^= 1 << rng.randrange(8)
            case 1:
                del spoilt[place : place + length]
            case 2:
                spoilt[place:place] = spoilt[place : place + length]
            case _:
                spoilt[place : place + length] = rng.randbytes(length)
    return bytes(spoilt)


def spoil(node: dict[str, Any] | list[Any], rng: random.Random) -> None:
    """Replace, remove or add one value somewhere below `node`."""
    held: dict[Any, Any] | list[Any] = node
    keys = list(held) if isinstance(held, dict) else list(range(len(held)))
    if not keys or rng.random() < 0.05:
        _add(node, rng.choice(VALUES))
        return
    key = rng.choice(keys)
    if isinstance(held[key], dict | list) and rng.random() < 0.8:
        spoil(held[key], rng)
    elif rng.random() < 0.15:
        del held[key]
    else:
        held[key] = rng.choice(VALUES)


def _add(node: dict[str, Any] | list[Any], value: object) -> None:
    if isinstance(node, dict):
        node["surprise"] = value
    else:
        node.append(value)


def resident_bytes(server: Server) -> int:
    """The resident size of the API and its pre-check child."""
    api = server.children()["API"][0]
    children = Path(f"/proc/{api}/task/{api}/children").read_text().split()
    texts = [Path(f"/proc/{pid}/status").read_text() for pid in (api, *children)]
    lines = [line for text in texts for line in text.splitlines() if line.startswith("VmRSS")]
    return sum(int(line.split()[1]) * 1024 for line in lines)


if __name__ == "__main__":
    main()
