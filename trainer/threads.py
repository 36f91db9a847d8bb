"""How many threads a CPU step gets: all that torch has, or one where that is faster.

A parallel region waits for its slowest thread, so on a machine whose cores are busy with something else a step on all
threads can be ten times slower than on one (measured: a 2-layer model, 2 cores, one of them busy). So both are timed.
"""

from collections.abc import Callable

import torch

GAIN_WANTED = 1.05  # more threads must be faster by this factor


def choose_threads(step: Callable[[], None], *, wanted: int, now: Callable[[], float]) -> int:
    """Set torch's threads for this process, and say how many.

    Args:
        step: the work to time; it is run twice for each number of threads.
        wanted: so many, without timing anything; 0 = the faster of all and one.
        now: a monotonic clock in seconds.
    """
    most = torch.get_num_threads()
    if wanted:
        torch.set_num_threads(wanted)
        return wanted
    if most > 1:
        seconds = {threads: _timed(step, threads, now) for threads in (most, 1)}
        torch.set_num_threads(most if seconds[most] * GAIN_WANTED < seconds[1] else 1)
    return torch.get_num_threads()


def _timed(step: Callable[[], None], threads: int, now: Callable[[], float]) -> float:
    torch.set_num_threads(threads)
    step()
    started = now()
    step()
    return now() - started
