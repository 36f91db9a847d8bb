"""The processes of a run: what torchrun says of them, the device of each, and the few words they exchange.

The only file of the trainer that reads the environment. A run without torchrun is a world of one process, for which
every exchange is the identity, so that the loop has one form.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from trainer.errors import ConfigError

TIMEOUT = timedelta(minutes=30)  # the others wait while one process compresses, scores or compiles


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among all processes.

    Attributes:
        rank: its number, 0 <= rank < world_size; rank 0 decides, writes and reports.
        world_size: how many processes there are.
        device: where its model lives.
    """

    rank: int
    world_size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process decides, writes and reports."""
        return self.rank == 0

    def sum_(self, tensor: Tensor) -> None:
        """Replace `tensor` in every process by the sum over all."""
        if self.world_size > 1:
            distributed.all_reduce(tensor)

    def spread_(self, tensor: Tensor) -> None:
        """Replace `tensor` in every process by that of rank 0."""
        if self.world_size > 1:
            distributed.broadcast(tensor, src=0)

    def largest(self, number: int) -> int:
        """The largest that any process passed."""
        if self.world_size == 1:
            return number
        word = torch.tensor(number, dtype=torch.int64, device=self.device)
        distributed.all_reduce(word, distributed.ReduceOp.MAX)
        return int(word.item())

    def told(self, *numbers: float) -> tuple[float, ...]:
        """What rank 0 passed as `numbers`, exactly."""
        if self.world_size == 1:
            return numbers
        words = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        self.spread_(words)
        return tuple(words.tolist())

    def synchronize(self) -> None:
        """Wait until the device has done what this process asked of it."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def world_from(environ: Mapping[str, str], *, device: str) -> World:
    """Read torchrun's variables; without them there is one process.

    Args:
        environ: the environment.
        device: "auto", "cpu" or "cuda".

    Raises:
        ConfigError: the device is not there, or the variables are half set.
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    if "RANK" not in environ:
        return World(rank=0, world_size=1, device=_device(device, local_rank=0))
    missing = [name for name in names if not environ.get(name, "").isdecimal()]
    missing += [name for name in ("MASTER_ADDR", "MASTER_PORT") if not environ.get(name)]
    if missing:
        raise ConfigError(f"{' and '.join(missing)}: expected what torchrun sets; start with torchrun")
    rank, world_size, local_rank = (int(environ[name]) for name in names)
    return World(rank=rank, world_size=world_size, device=_device(device, local_rank=local_rank))


@contextmanager
def joined(*, device: str) -> Iterator[World]:
    """The world that this process's environment names: joined on entry, left on exit.

    Raises:
        ConfigError: see `world_from`.
    """
    world = world_from(os.environ, device=device)  # noqa: TID251 - this file reads the environment for the trainer
    on_cuda = world.device.type == "cuda"
    if on_cuda:
        torch.cuda.set_device(world.device)
    if world.world_size > 1:
        backend, device_id = ("nccl", world.device) if on_cuda else ("gloo", None)
        distributed.init_process_group(backend, timeout=TIMEOUT, device_id=device_id)
    try:
        yield world
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _device(wish: str, *, local_rank: int) -> torch.device:
    cuda = torch.cuda.is_available()
    if wish == "cuda" and not cuda:
        raise ConfigError("--device cuda: no CUDA device is visible to torch; use --device cpu")
    if wish == "cpu" or not cuda:
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        got = torch.cuda.device_count()
        raise ConfigError(f"local rank {local_rank}: expected one GPU a process, got {got}; lower --nproc-per-node")
    return torch.device("cuda", local_rank)
