"""Load on loopback, as Markdown: 50 uploads of 16 MB at once, and 1,000 submissions of 100 distinct artifacts.

    python -m benchmarks.load [--clients 50] [--small 1000] [--distinct 100]

The large files are good heads with random bytes behind them, so each is read, digested, looked at by the pre-check and
stored before it is answered (with a rejection). Memory is the API process's largest resident size, read every 50 ms.
"""

import argparse
import random
import statistics
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.service import Server, serving_tiny_set, tiny_entry

LARGE_BYTES = 16_000_000
MEMORY_BOUND_BYTES = 700 * 1024 * 1024
"""Eight bodies, each at most three times (stream, file, pipe), and the process itself."""
PATIENCE_SECONDS = 1200
SMALL_CLIENTS = 8


class Memory(threading.Thread):
    """The largest resident size of a process while it is watched."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._status = Path(f"/proc/{pid}/status")
        self._ended = threading.Event()
        self.largest_bytes = 0

    def run(self) -> None:
        """Look until told to end."""
        while not self._ended.wait(0.05):
            line = next(line for line in self._status.read_text().splitlines() if line.startswith("VmRSS"))
            self.largest_bytes = max(self.largest_bytes, int(line.split()[1]) * 1024)

    def end(self) -> int:
        """Stop, and say how much it was at most."""
        self._ended.set()
        self.join()
        return self.largest_bytes


def main() -> None:
    """Run both and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--small", type=int, default=1000)
    parser.add_argument("--distinct", type=int, default=100)
    given = parser.parse_args()
    with serving_tiny_set() as (server, _):
        print("| measurement | value |\n| --- | --- |")
        large(server, given.clients)
        small(server, submissions=given.small, distinct=given.distinct)


def large(server: Server, clients: int) -> None:
    """All clients upload at once."""
    head = tiny_entry("large")
    bodies = [head + random.Random(number).randbytes(LARGE_BYTES - len(head)) for number in range(clients)]
    memory = Memory(server.children()["API"][0])
    memory.start()
    gate = threading.Barrier(clients)

    def upload(body: bytes) -> tuple[int, float]:
        with server.client as client:
            gate.wait()
            start = time.perf_counter()
            answer = client.post(
                "/verify?valset=tiny", content=body, headers={"Content-Type": "application/octet-stream"}
            )
            return answer.status_code, time.perf_counter() - start

    with ThreadPoolExecutor(clients) as pool:
        answers = list(pool.map(upload, bodies))
    largest = memory.end()
    seconds = sorted(taken for status, taken in answers if status in {200, 202})
    p50, p99 = statistics.median(seconds), seconds[min(len(seconds) - 1, round(0.99 * len(seconds)))]
    print(f"| {clients} uploads of 16 MB at once: answered / asked to come again | {len(seconds)} / ", end="")
    print(f"{sum(status == 503 for status, _ in answers)} |")
    print(f"| accept latency p50, p99 | {p50:.2f} s, {p99:.2f} s |")
    bound = MEMORY_BOUND_BYTES / 2**20
    print(f"| largest resident size of the API (bound {bound:.0f} MiB) | {largest / 2**20:.0f} MiB |", flush=True)
    assert largest < MEMORY_BOUND_BYTES


def small(server: Server, *, submissions: int, distinct: int) -> None:
    """Many submissions of few artifacts: as many verifications as there are artifacts."""
    entries = [tiny_entry(f"small {number}") for number in range(distinct)]

    def submit(number: int) -> str:
        with server.client as client:
            answer = client.post(
                "/verify?valset=tiny",
                content=entries[number % distinct],
                headers={"Content-Type": "application/octet-stream"},
            )
            return str(answer.raise_for_status().json()["id"])

    start = time.perf_counter()
    with ThreadPoolExecutor(SMALL_CLIENTS) as pool:
        ids = set(pool.map(submit, range(submissions)))
    taken = time.perf_counter() - start
    print(f"| {submissions} submissions of {distinct} artifacts: jobs | {len(ids)} |")
    print(f"| submissions per second | {submissions / taken:.0f} |")
    deadline = time.monotonic() + PATIENCE_SECONDS
    with server.client as client:
        jobs = [client.get(f"/verify/{job_id}").json() for job_id in ids]
        while any(job["state"] in {"queued", "running"} for job in jobs) and time.monotonic() < deadline:
            time.sleep(1)
            jobs = [client.get(f"/verify/{job_id}").json() for job_id in ids]
    verdicts = [job for job in jobs if job["verdict"]]
    print(f"| verdicts, each of one run and one attempt | {sum(j['run'] == j['attempt'] == 1 for j in verdicts)} |")
    assert len(ids) == distinct


if __name__ == "__main__":
    main()
