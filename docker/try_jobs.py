"""The jobs of docker/try.sh: `try_jobs.py ADDRESS FOLDER`, inside the containers' network namespace.

Trains and packs inside a worker's image, uploads as a CI job would (action/submit.py), kills every container in
the middle of a job, and carries the whole server over to empty volumes by the commands of docs/containers.md.
Standard library only; compose and its file come by SEEDGOLF_COMPOSE and SEEDGOLF_COMPOSE_FILE.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

Job = dict[str, Any]

ROOT = Path(__file__).parents[1]
SUBMIT = ROOT / "action" / "submit.py"
COMPOSE = [os.environ["SEEDGOLF_COMPOSE"], "-f", os.environ["SEEDGOLF_COMPOSE_FILE"]]  # noqa: TID251 - try.sh sets them
TOKEN = os.environ["SEEDGOLF_TOKEN"].strip()  # noqa: TID251 - the same
PATIENCE_SECONDS = 900
SLOW_SECONDS = 90
SAVED = ("backup.dump", "blobs.tar", "server.tar")
TRAIN = "seedgolf train --preset smoke --out /tmp/run >&2 && cat /tmp/run/artifact.sgolf"
SLOWER = """
import sys, artifact
from artifact.format.manifest import EvalMode
made = artifact.read(sys.stdin.buffer.read())
windows = made.manifest.eval.model_copy(update={"mode": EvalMode.SLIDING, "stride": int(sys.argv[1])})
manifest = made.manifest.model_copy(update={"name": "slow", "eval": windows, "claims": None})
from dataclasses import replace
sys.stdout.buffer.write(artifact.write(replace(made, manifest=manifest)))
"""


def main(address: str, folder: Path) -> None:
    """Every step, in order; a step that does not hold ends it."""
    folder.mkdir(parents=True, exist_ok=True)
    good, broken, slow = (folder / f"{name}.sgolf" for name in ("good", "broken", "slow"))
    say("train and pack in a container without a network")
    good.write_bytes(inside(["sh", "-c", TRAIN]))
    data = bytearray(good.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    say(f"{good.stat().st_size:,} bytes; submit as a CI job does")
    summary = folder / "summary.md"
    hold(submit(address, good, "--summary", str(summary)) == 0, "accepted")
    hold("accepted" in summary.read_text(), "the report is in the summary")
    hold(submit(address, broken, "--valset", "demo") == 1, "one flipped bit: rejected")
    stride = slow_stride(ask(f"{address}/verify?valset=demo", good.read_bytes()))
    slow.write_bytes(inside(["python", "-c", SLOWER, str(stride)], good.read_bytes()))
    restarts(address, slow)
    restore(address, good, folder)


def slow_stride(judged: Job) -> int:
    """The stride at which this machine scores the same file for about `SLOW_SECONDS`."""
    windows, score = judged["report"]["eval"], judged["report"]["score"]
    return int(max(1, min(windows["seq_len"], windows["seq_len"] * score["seconds"] // SLOW_SECONDS)))


def restarts(address: str, slow: Path) -> None:
    """Kill every container while one job runs; it must end with a verdict."""
    job = ask(f"{address}/verify?valset=demo", slow.read_bytes())
    job = until(address, job, lambda now: now["state"] == "running" and now["progress"]["stage"] == "score")
    for service in ("api", "postgres", "worker"):
        say(f"kill {service}; before: {short(job)}")
        compose("restart", "--timeout", "0", "--no-deps", service)
        job = until(address, job, taken_again(job) if service == "worker" else lambda _: True)
        say(f"       {service} is back; after: {short(job)}")
        hold(job["state"] in {"running", "queued"}, "the job was still under way")
    job = until(address, job, lambda now: now["state"] not in {"queued", "running"})
    hold(job["state"] == "accepted", f"nothing was lost: {short(job)}, val_bpb {job['val_bpb']}")


def restore(address: str, good: Path, folder: Path) -> None:
    """Back up, delete every volume, restore: the same reports, keys, tokens and artifacts."""
    job = ask(f"{address}/verify?valset=demo", good.read_bytes())
    artifact = f"/artifacts/{hashlib.sha256(good.read_bytes()).hexdigest()}.sgolf"
    paths = (f"/reports/{job['id']}.json", f"/reports/{job['id']}.dsse", "/keys", "/leaderboard", artifact)
    before = [fetch(address + path) for path in paths]
    back_up, bring_back = documented("## Backup")
    say("back up, delete every volume, restore, by the commands of docs/containers.md")
    shell(back_up, folder)
    say("       " + ", ".join(f"{name} {(folder / name).stat().st_size:,} bytes" for name in SAVED))
    compose("down", "--volumes")
    shell(bring_back, folder)
    after = [fetch(address + path) for path in paths]
    hold(after == before, "report, signature, keys, leaderboard and artifact: the same bytes, to the same token")
    again = ask(f"{address}/verify?valset=demo", good.read_bytes())
    hold((again["id"], again["state"]) == (job["id"], "accepted"), "the same file is answered from store")
    other = folder / "other.sgolf"
    other.write_bytes(inside(["python", "-c", SLOWER, str(job["report"]["eval"]["seq_len"])], good.read_bytes()))
    hold(submit(address, other, "--valset", "demo") == 0, "a worker judges another file")
    hold(fetch(f"{address}/keys") == before[2], "and signs with the key of before")


def documented(heading: str) -> list[str]:
    """The command blocks of a section of docs/containers.md."""
    section = (ROOT / "docs" / "containers.md").read_text().partition(f"\n{heading}\n")[2].partition("\n## ")[0]
    return [block for block in section.strip("\n").split("\n\n") if block.startswith("    docker compose")]


def shell(block: str, folder: Path) -> None:
    """Run a block of a page as a person would, with `docker compose` meaning the compose of this try."""
    mine = 'docker() { shift; "$SEEDGOLF_COMPOSE" -f "$SEEDGOLF_COMPOSE_FILE" "$@"; }\nset -eu\n'
    subprocess.run(["bash", "-c", mine + block], cwd=folder, check=True)  # noqa: S603, S607 - our own page's words


def taken_again(job: Job) -> Callable[[Job], bool]:
    """Whether another attempt than that of `job` is under way."""
    return lambda now: now["attempt"] > job["attempt"] and now["state"] == "running"


def submit(address: str, file: Path, *more: str) -> int:
    """The exit code of the action's script."""
    command = [sys.executable, str(SUBMIT), "--server", address, "--artifact", str(file), "--poll-seconds", "1", *more]
    return subprocess.run(command, check=False).returncode  # noqa: S603 - our own words, no shell


def inside(command: list[str], given: bytes = b"") -> bytes:
    """What a command in a fresh container of the worker's image prints."""
    whole = [*COMPOSE, "run", "--rm", "--no-deps", "-T", "worker", *command]
    return subprocess.run(whole, input=given, stdout=subprocess.PIPE, check=True).stdout  # noqa: S603 - the same


def compose(*words: str) -> None:
    """Run compose, quietly."""
    subprocess.run([*COMPOSE, *words], check=True, capture_output=True)  # noqa: S603 - the same


def ask(url: str, body: bytes | None = None) -> Job:
    """A job as the API answers it."""
    return dict(json.loads(fetch(url, body)))


def fetch(url: str, body: bytes | None = None) -> bytes:
    """The API's answer."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:  # noqa: S310 - this machine's
        return bytes(answer.read())


def until(address: str, job: Job, condition: Callable[[Job], bool]) -> Job:
    """The job as soon as `condition` holds; the API may be away meanwhile."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            job = ask(f"{address}/verify/{job['id']}")
        except (OSError, urllib.error.URLError):
            time.sleep(0.5)
            continue
        if condition(job) or job["state"] in {"failed", "rejected", "cancelled"}:
            return job
        time.sleep(0.5)
    sys.exit(f"gave up after {PATIENCE_SECONDS} s: {short(job)}")


def short(job: Job) -> str:
    """A job in a few words."""
    progress = job["progress"]
    return f"{job['state']}, attempt {job['attempt']}, {progress['stage']} {progress['done']}/{progress['total']}"


def say(sentence: str) -> None:
    """A line with the time."""
    print(f"{time.strftime('%H:%M:%S', time.gmtime())}  {sentence}", flush=True)


def hold(condition: bool, sentence: str) -> None:
    """Say what holds, or end."""
    if not condition:
        sys.exit(f"does NOT hold: {sentence}")
    say(f"holds: {sentence}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
