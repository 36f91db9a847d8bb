"""How much memory this machine, or the container around this process, has."""

import os
from pathlib import Path
from typing import Final

CGROUP_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")


def machine_memory_bytes(cgroup_limit: Path = CGROUP_LIMIT) -> int:
    """The smaller of the physical memory and the control group's limit, in bytes."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        text = cgroup_limit.read_text().strip()
    except OSError:
        return physical
    return min(physical, int(text)) if text.isdigit() else physical
