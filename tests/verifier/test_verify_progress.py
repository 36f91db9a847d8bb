import io

from rich.console import Console

from verifier.case import Unwatched
from verifier.child_environment import is_first_process, processes_here, under_torchrun
from verifier.report import CheckName
from verifier.verify_progress import watching


def test_a_terminal_sees_the_running_check_its_share_and_the_time_it_still_needs() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    with watching(console, draw=True) as watch:
        watch.begins(CheckName.SCORE)
        watch.progress(512, 5_120)
    assert isinstance(console.file, io.StringIO)
    drawn = console.file.getvalue()
    assert "score" in drawn
    assert "10%" in drawn


def test_nothing_is_drawn_into_a_pipe_or_by_the_other_ranks() -> None:
    with watching(Console(file=io.StringIO()), draw=True) as watch:
        assert isinstance(watch, Unwatched)
    with watching(Console(file=io.StringIO(), force_terminal=True), draw=False) as watch:
        assert isinstance(watch, Unwatched)


def test_one_process_speaks() -> None:
    assert is_first_process({"RANK": "3"}), "a stray variable without torchrun"
    assert is_first_process({"TORCHELASTIC_RUN_ID": "x", "RANK": "0"})
    assert not is_first_process({"TORCHELASTIC_RUN_ID": "x", "RANK": "1"})
    assert not under_torchrun({"WORLD_SIZE": "8"})


def test_the_processes_of_a_machine_share_its_cores() -> None:
    assert processes_here({"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "8"}) == 8
    assert processes_here({"TORCHELASTIC_RUN_ID": "x", "LOCAL_WORLD_SIZE": "zero"}) == 1
    assert processes_here({"LOCAL_WORLD_SIZE": "8"}) == 1
