"""One supervised program: started, noticed when it ends, started again after pauses that grow and are forgotten."""

import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count

import pytest

from api.postgres_errors import NoPostgres
from api.settings import Settings
from api.supervised import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, STEADY_SECONDS, Supervised, ending
from api.supervisor import START_FAILURES, ServeFailed, _is_up, free_port


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def failing(said: list[str]) -> Iterator[Supervised]:
    """A program that ends at once with exit code 3; each start waits for it."""
    with ExitStack() as stack:

        def begin() -> subprocess.Popen[bytes]:
            process = stack.enter_context(subprocess.Popen(["sh", "-c", "exit 3"]))
            process.wait()
            return process

        yield Supervised(name="worker 1", begin=begin, say=said.append)


def test_pauses_double_up_to_the_longest(failing: Supervised, said: list[str]) -> None:
    now, pauses = 0.0, []
    for _ in range(12):
        failing.tend(now)
        failing.tend(now)
        pauses.append(failing.due_at - now)
        now = failing.due_at
    doubled = [min(FIRST_PAUSE_SECONDS * 2**n, LONGEST_PAUSE_SECONDS) for n in range(12)]
    assert pauses == pytest.approx(doubled)
    assert said[0] == "worker 1 ended with exit code 3; starts again in 0.1 s"


def test_nothing_is_started_during_a_pause(failing: Supervised) -> None:
    failing.tend(0.0)
    failing.tend(0.0)
    failing.tend(failing.due_at - 0.01)
    assert failing.process is None
    failing.tend(failing.due_at)
    assert failing.process


def test_a_program_that_ran_long_starts_again_at_once(failing: Supervised) -> None:
    for now in (0.0, 1.0, 2.0, 3.0, 4.0):
        failing.tend(now)
    assert (failing.failures, failing.started_at) == (2, 4.0)
    failing.tend(4.0 + STEADY_SECONDS)
    assert failing.failures == 1
    assert failing.due_at == pytest.approx(4.0 + STEADY_SECONDS + FIRST_PAUSE_SECONDS)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), NoPostgres("no programs")])
def test_a_program_that_cannot_start_is_tried_again(error: Exception, said: list[str]) -> None:
    tries = count()

    def begin() -> subprocess.Popen[bytes]:
        next(tries)
        raise error

    supervised = Supervised(name="PostgreSQL", begin=begin, say=said.append)
    supervised.tend(0.0)
    supervised.tend(supervised.due_at)
    assert next(tries) == 2
    assert str(error) in said[0]


@pytest.mark.parametrize(
    ("returncode", "words"),
    [(0, "ended with exit code 0"), (-signal.SIGKILL, "was ended by SIGKILL"), (-63, "was ended by signal 63")],
)
def test_an_ending_is_said_in_words(returncode: int, words: str) -> None:
    assert ending(returncode) == words


def test_an_api_that_keeps_ending_is_given_up_after_some_starts(failing: Supervised) -> None:
    settings = Settings(host="127.0.0.1", port=free_port("127.0.0.1", 0))
    now = 0.0
    while failing.failures < START_FAILURES:
        assert not _is_up(failing, settings)
        failing.tend(now)
        now = max(now, failing.due_at)
    with pytest.raises(ServeFailed, match="expected it to start; it says above why"):
        _is_up(failing, settings)
