"""The environment of the judging process: built from nothing, with a short list of names taken over by value.

The caller passes its own environment in; nothing here reads it. Taken over is only what finds libraries and devices,
and, under torchrun, what its ranks need to find each other. Tokens, keys and DSNs have no way in.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

TAKEN_OVER: Final = (
    "CUDA_DEVICE_ORDER",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "LD_LIBRARY_PATH",
    "PATH",
)
TAKEN_OVER_UNDER_TORCHRUN: Final = (
    "GROUP_RANK",
    "LOCAL_RANK",
    "LOCAL_WORLD_SIZE",
    "MASTER_ADDR",
    "MASTER_PORT",
    "NCCL_SOCKET_IFNAME",
    "GLOO_SOCKET_IFNAME",
    "RANK",
    "TORCHELASTIC_MAX_RESTARTS",
    "TORCHELASTIC_RESTART_COUNT",
    "TORCHELASTIC_RUN_ID",
    "TORCHELASTIC_USE_AGENT_STORE",
    "WORLD_SIZE",
)


def under_torchrun(environ: Mapping[str, str]) -> bool:
    """Whether the caller is one of torchrun's processes."""
    return "TORCHELASTIC_RUN_ID" in environ


def is_first_process(environ: Mapping[str, str]) -> bool:
    """Whether the caller is the only process, or torchrun's first: the one that speaks."""
    return environ.get("RANK", "0") == "0" if under_torchrun(environ) else True


def processes_here(environ: Mapping[str, str]) -> int:
    """How many processes of this run share this machine's cores."""
    text = environ.get("LOCAL_WORLD_SIZE", "1") if under_torchrun(environ) else "1"
    return max(1, int(text)) if text.isdecimal() else 1


def child_environment(environ: Mapping[str, str], *, scratch: Path, threads: int) -> dict[str, str]:
    """The variables of the child.

    Args:
        environ: the caller's.
        scratch: the child's own folder, its home and its place for temporary files and caches.
        threads: CPU threads of every library.
    """
    names = TAKEN_OVER + (TAKEN_OVER_UNDER_TORCHRUN if under_torchrun(environ) else ())
    return {name: environ[name] for name in names if name in environ} | {
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
    }
