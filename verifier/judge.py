"""The judging process: `python -m verifier.judge FOLDER PARENT_PID alone|first|other`, which only `sandbox` starts.

It gives up what it does not need before it imports anything that starts threads or reads a stranger's bytes.
"""

import sys
from pathlib import Path
from typing import Final

from verifier import confinement
from verifier.confinement import Network

ALONE: Final = "alone"  # as in job.py, which imports too much to be imported here
OTHER_RANK: Final = "other"


def main(folder: Path, parent_pid: int, place: str) -> None:
    """Confine this process, then judge the job in `folder`; `place` is its own among the processes that score."""
    network = confinement.leave_network() if place == ALONE else Network.RANKS
    confinement.drop_privileges()
    confinement.die_with_parent(parent_pid)
    from verifier import judging  # noqa: PLC0415 - numpy starts threads, and a user namespace is for one thread only

    judging.run(folder, network=network, speaks=place != OTHER_RANK)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
