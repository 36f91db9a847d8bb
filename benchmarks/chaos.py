"""Kills workers, the API and PostgreSQL with SIGKILL at random while submissions come in, and counts what is lost.

    python -m benchmarks.chaos                                    Markdown on standard output
    python -m benchmarks.chaos --output docs/results/chaos-DATE.md --submissions 200 --workers 3

The server is `seedgolf serve` with its normal clocks; every submission is another artifact with the same weights, so
every verdict must state the same score. Passes when every acknowledged submission ends in a verdict (after a
resubmission where three workers were killed under it), none has two different reports, and nothing runs afterwards.
"""

import argparse
import collections
import hashlib
import os
import random
import signal
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from benchmarks.bench_backbone import processor
from benchmarks.service import Server, serving, tiny_entry, tiny_set

TARGETS = {"worker": 0.75, "API": 0.15, "PostgreSQL": 0.10}
DEADLINE_SECONDS = 3600.0


@dataclass(kw_only=True)
class Tally:
    """What happened."""

    acknowledged: dict[str, str] = field(default_factory=dict)  # job -> artifact name
    refused: int = 0
    kills: collections.Counter[str] = field(default_factory=collections.Counter)
    reports: dict[str, str] = field(default_factory=dict)  # job -> digest of its report when first seen
    changed: set[str] = field(default_factory=set)
    resubmitted: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    scores: set[float] = field(default_factory=set)
    attempts: collections.Counter[int] = field(default_factory=collections.Counter)
    left: int = -1
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing was lost."""
        complete = len(self.reports) == len(self.acknowledged)
        return complete and not self.changed and not self.failed and len(self.scores) == 1 and self.left == 0


class Caller:
    """Asks, again and again while the server is being killed."""

    def __init__(self, server: Server) -> None:
        self._client = server.client

    def ask(self, method: str, path: str, content: bytes | None = None) -> httpx2.Response:
        """The answer, the first that is none of a server in trouble."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = self._client.request(method, path, content=content)
                if answer.status_code < 500:
                    return answer
            except httpx2.HTTPError:
                pass
            time.sleep(0.2)
        raise SystemExit(f"{method} {path}: no answer")


def submit(caller: Caller, tally: Tally, name: str, valset: str) -> str:
    """Submit one artifact, and note that it was acknowledged."""
    answer = caller.ask("POST", f"/verify?valset={valset}", content=tiny_entry(name))
    if answer.status_code not in {200, 202}:
        raise SystemExit(f"{name}: {answer.status_code} {answer.text}")
    job = str(answer.json()["id"])
    tally.acknowledged[job] = name
    return job


def kill_now_and_then(server: Server, tally: Tally, chance: random.Random, gap: float, done: threading.Event) -> None:
    """SIGKILL one process of the server, now and then, until done."""
    while not done.wait(chance.uniform(0.3, 1.7) * gap):
        kind = chance.choices(list(TARGETS), list(TARGETS.values()))[0]
        if pids := server.children()[kind]:
            os.kill(chance.choice(pids), signal.SIGKILL)
            tally.kills[kind] += 1


def look(caller: Caller, tally: Tally, valset: str) -> int:
    """Look at every job without a known verdict; returns how many are still without."""
    open_jobs = [job for job in tally.acknowledged if job not in tally.reports]
    for job in open_jobs:
        found = caller.ask("GET", f"/verify/{job}").json()
        if found["state"] in {"accepted", "rejected"}:
            note_verdict(caller, tally, found)
        elif found["state"] == "failed" and found["code"] == "worker-lost":
            tally.resubmitted.append(job)
            submit(caller, tally, tally.acknowledged[job], valset)
        elif found["state"] == "failed":
            tally.failed.append(f"{job[:12]}: {found['code']} {found['message']}")
            tally.reports[job] = ""
    return sum(job not in tally.reports for job in tally.acknowledged)


def note_verdict(caller: Caller, tally: Tally, found: dict[str, object]) -> None:
    """Note a verdict and the report that is served with it."""
    job = str(found["id"])
    raw = caller.ask("GET", f"/reports/{job}.json").content
    digest = hashlib.sha256(raw).hexdigest()
    if tally.reports.setdefault(job, digest) != digest:
        tally.changed.add(job)
    tally.attempts[int(str(found["attempt"]))] += 1
    tally.scores.add(float(str(found["val_bpb"])))


def look_again(caller: Caller, tally: Tally) -> None:
    """Every report, once more: is it the one that was seen first?"""
    for job, digest in tally.reports.items():
        raw = caller.ask("GET", f"/reports/{job}.json").content
        if hashlib.sha256(raw).hexdigest() != digest:
            tally.changed.add(job)


def run(folder: Path, *, submissions: int, workers: int, seed: int, gap: float) -> Tally:
    """The whole experiment."""
    tally, chance, done = Tally(), random.Random(seed), threading.Event()
    valset = tiny_set(folder)
    started = time.monotonic()
    with serving(folder, workers=workers) as server:
        caller = Caller(server)
        killer = threading.Thread(target=kill_now_and_then, args=(server, tally, chance, gap, done))
        killer.start()
        try:
            for number in range(submissions):
                submit(caller, tally, f"entry {number}", valset)
                if number % 20 == 19:
                    look(caller, tally, valset)
            while left := look(caller, tally, valset):
                say(tally, left)
                if left < submissions // 4:
                    done.set()  # the last quarter drains in peace: most of the killing is done by then
                time.sleep(2)
            done.set()
            killer.join()
            look_again(caller, tally)
        finally:
            done.set()
            killer.join()
    tally.seconds = time.monotonic() - started
    tally.left = len(server.leftovers())
    return tally


def say(tally: Tally, left: int) -> None:
    """One line of progress."""
    kills = ", ".join(f"{number} {kind}" for kind, number in tally.kills.items())
    print(
        f"{left} without a verdict, {len(tally.resubmitted)} resubmitted; killed {kills}", file=sys.stderr, flush=True
    )


def table(tally: Tally, *, workers: int, seed: int) -> str:
    """The result in Markdown."""
    attempts = ", ".join(f"{count} at attempt {attempt}" for attempt, count in sorted(tally.attempts.items()))
    rows = {
        "submissions acknowledged": len(tally.acknowledged),
        "workers killed": tally.kills["worker"],
        "API killed": tally.kills["API"],
        "PostgreSQL killed": tally.kills["PostgreSQL"],
        "verdicts": f"{len(tally.reports) - len(tally.failed)} ({attempts})",
        "`failed: worker-lost`, resubmitted to a verdict": len(tally.resubmitted),
        "other failures": "; ".join(tally.failed) or 0,
        "jobs with two different reports": len(tally.changed),
        "different scores of the same weights": len(tally.scores) - 1,
        "processes left after ctrl-C": tally.left,
        "duration": f"{tally.seconds:.0f} s",
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items()]
    head = (
        f"# Chaos: SIGKILL at random\n\n{processor()}, {datetime.now(UTC):%Y-%m-%d}, {workers} workers, seed {seed}.\n"
    )
    verdict = "Passed." if tally.passed else "FAILED."
    return "\n".join([head, "| what | number |", "| --- | --- |", *lines, "", verdict, ""])


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--submissions", type=int, default=200)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--gap", type=float, default=10.0, help="mean seconds between two kills")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="seedgolf-chaos-", ignore_cleanup_errors=True) as name:
        tally = run(
            Path(name),
            submissions=options.submissions,
            workers=options.workers,
            seed=options.seed,
            gap=options.gap,
        )
    text = table(tally, workers=options.workers, seed=options.seed)
    if options.output:
        options.output.write_text(text)
    print(text)
    sys.exit(not tally.passed)


if __name__ == "__main__":
    main()
