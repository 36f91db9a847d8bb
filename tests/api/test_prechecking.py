"""The pre-check child: reused, bounded, killed when it hangs, and never the end of an upload."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from api.precheck_messages import Ask
from api.prechecking import COMMAND, Prechecked, Prechecker
from tests.verifier.entries import Arena
from verifier.precheck import precheck
from verifier.report import Report
from verifier.tracks import load_tracks

TRACKS = tuple(load_tracks().values())


def ask(arena: Arena, data: bytes, **changes: Any) -> Ask:
    return Ask(size_bytes=len(data), tracks=TRACKS, valsets=(arena.registration,), **changes)


def checked(data: bytes, question: Ask, **options: Any) -> Prechecked:
    async def story() -> Prechecked:
        async with Prechecker({}, **options) as prechecker:
            return await prechecker.check(data, question)

    return asyncio.run(story())


def timeless(report: Report | None) -> Report | None:
    return report and report.without_times()


def test_one_child_looks_at_every_file_and_says_what_the_verifier_says(arena: Arena) -> None:
    good, bad = arena.entry(), arena.entry()[:-1]

    async def story() -> None:
        async with Prechecker({}) as prechecker:
            pids = set()
            for data in (good, bad, b"", good):
                found = await prechecker.check(data, ask(arena, data))
                assert found.chosen is not None
                assert found.checked is not None
                ours = precheck(data, track=arena.track, registration=arena.registration if data else None)
                assert timeless(found.checked.report) == timeless(ours)
                pids.add(prechecker.pid)
            assert len(pids) == 1
            refused = await prechecker.check(good, ask(arena, good, track_name="nowhere"))
            assert refused.chosen is not None
            assert refused.chosen.refusal is not None
            assert (refused.chosen.refusal.code, refused.checked) == ("unknown-track", None)
        assert not Path(f"/proc/{pids.pop()}").exists(), "the child ends with the API"

    asyncio.run(story())


def test_a_manifest_that_cannot_be_read_chooses_no_set(arena: Arena) -> None:
    found = checked(b"junk", ask(arena, b"junk"))
    assert found.chosen is not None
    assert (found.chosen.track_name, found.chosen.valset_sha256, found.chosen.manifest) == ("local", None, None)


def script(body: str) -> tuple[str, ...]:
    """A child that reads one question and then does something else."""
    read = "import sys, time; r = sys.stdin.buffer.read; n = int.from_bytes(r(4), 'big'); r(n); "
    return (sys.executable, "-c", read + body)


CHOSEN = b'{"track_name":"local"}'
SAY_CHOSEN = f"sys.stdout.buffer.write({len(CHOSEN).to_bytes(4, 'big')!r} + {CHOSEN!r}); sys.stdout.flush(); "


@pytest.mark.parametrize(
    "body",
    ["time.sleep(600)", "sys.exit(1)", "import os; os.abort()", "print('x' * 4 + 'y' * 100)", "print('a')"],
    ids=["hangs", "exits", "dies", "babbles", "stops in the middle"],
)
def test_a_child_that_is_lost_leaves_the_file_to_a_worker(arena: Arena, body: str) -> None:
    found = checked(b"x", ask(arena, b"x"), command=script(body), patience_seconds=0.5)
    assert found == Prechecked(chosen=None, checked=None)


def test_what_a_child_chose_before_it_was_lost_is_kept(arena: Arena) -> None:
    found = checked(b"x", ask(arena, b"x"), command=script(SAY_CHOSEN))
    assert found.chosen is not None
    assert (found.chosen.track_name, found.checked) == ("local", None)


def test_a_lost_child_is_replaced_and_a_cancelled_request_answers_no_other(arena: Arena) -> None:
    good = arena.entry()

    async def story() -> None:
        async with Prechecker({}) as prechecker:
            await prechecker.check(b"", ask(arena, b""))
            assert prechecker.pid
            os.kill(prechecker.pid, 9)
            lost = await prechecker.check(b"", ask(arena, b""))
            again = await prechecker.check(b"", ask(arena, b""))
            assert again.checked is not None, lost
            task = asyncio.create_task(prechecker.check(b"", ask(arena, b"")))
            await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            found = await prechecker.check(good, ask(arena, good))
            assert found.chosen is not None
            assert found.chosen.manifest is not None, "the answer to this file, not to the cancelled one"

    asyncio.run(story())


def test_a_child_without_enough_memory_leaves_the_file_to_a_worker(arena: Arena) -> None:
    data = arena.entry() + bytes(48 * 1024 * 1024)
    small = 1024 * 1024  # less than it has already: every further allocation fails
    assert checked(data, ask(arena, data), memory_bytes=small).checked is None


def test_the_child_sees_no_secret(arena: Arena) -> None:
    assert COMMAND[1:] == ("-P", "-m", "api.precheck_child")
    body = (
        "import os, json; t = json.dumps({'track_name': ','.join(sorted(os.environ))}).encode(); "
        "sys.stdout.buffer.write(len(t).to_bytes(4, 'big') + t); sys.stdout.flush()"
    )

    async def story() -> Prechecked:
        environ = {"SEEDGOLF_DATABASE": "secret", "AWS_SECRET_ACCESS_KEY": "secret", "PATH": "/usr/bin"}
        async with Prechecker(environ, command=script(body)) as prechecker:
            return await prechecker.check(b"x", ask(arena, b"x"))

    found = asyncio.run(story())
    assert found.chosen is not None
    assert "SEEDGOLF" not in str(found.chosen.track_name)
    assert "AWS" not in str(found.chosen.track_name)
