"""The processes that torchrun started, joined for the scoring; torch itself reads the variables that torchrun sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

import torch
from torch import distributed

from verifier.settings import Settings

TIMEOUT: Final = timedelta(minutes=30)


def computes_on_gpu(settings: Settings) -> bool:
    """Whether these settings mean a GPU here."""
    return settings.device != "cpu" and torch.cuda.is_available()


@contextmanager
def joined(settings: Settings) -> Iterator[None]:
    """Join the other ranks on entry and leave them on exit; nothing for a process alone."""
    if not distributed.is_torchelastic_launched():
        yield
        return
    distributed.init_process_group("nccl" if computes_on_gpu(settings) else "gloo", timeout=TIMEOUT)
    try:
        yield
    finally:
        distributed.destroy_process_group()
