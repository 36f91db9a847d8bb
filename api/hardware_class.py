"""Which kind of machine answers a question; a module of its own because settings are read before anything heavy."""

from enum import StrEnum


class HardwareClass(StrEnum):
    """Which workers can answer."""

    CPU = "cpu"
    GPU = "gpu"
