"""The machine that judges: where it computes, what that is called, and whether it is the track's reference hardware."""

import platform
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import distributed

from verifier.errors import DeviceUnavailable
from verifier.numerics import Numerics, set_canonical_numerics
from verifier.report import EnvironmentRecord
from verifier.settings import BATCH_TOKENS_CPU, BATCH_TOKENS_CUDA, Settings
from verifier.tracks import Track

CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where this process computes, among the processes that score together.

    Attributes:
        device: its own device.
        rank, world_size: this process of all.
        numerics: what was set for float32 products.
        threads: CPU threads of this process.
    """

    device: torch.device
    rank: int
    world_size: int
    numerics: Numerics
    threads: int

    def batch_windows(self, settings: Settings, *, seq_len: int) -> int:
        """Windows of `seq_len` tokens in a batch: as wished, else as many as suit the device."""
        tokens = BATCH_TOKENS_CUDA if self.device.type == "cuda" else BATCH_TOKENS_CPU
        return settings.batch_windows or max(1, tokens // seq_len)


def set_up(settings: Settings) -> Machine:
    """Choose the device, set threads and canonical numerics; process-wide.

    Raises:
        DeviceUnavailable: no such device, or it rounds float32 products whatever is set.
    """
    torch.set_num_threads(settings.threads)
    joined = distributed.is_available() and distributed.is_initialized()
    device = _device(settings.device, local_rank=distributed.get_node_local_rank(0) if joined else 0)
    return Machine(
        device=device,
        rank=distributed.get_rank() if joined else 0,
        world_size=distributed.get_world_size() if joined else 1,
        numerics=_numerics(device),
        threads=settings.threads,
    )


def _numerics(device: torch.device) -> Numerics:
    try:
        return set_canonical_numerics(device)
    except RuntimeError as error:
        raise DeviceUnavailable(str(error)) from None


def record(machine: Machine, track: Track, *, network: str) -> EnvironmentRecord:
    """What the report says of the machine."""
    reference, name = track.reference_hardware, device_name(machine.device)
    count = machine.world_size if machine.device.type == "cuda" else machine.threads
    return EnvironmentRecord(
        hardware=hardware(machine),
        is_reference=reference is None or reference.is_met_by(device=name, count=count),
        device=machine.device.type,
        world_size=machine.world_size,
        threads=machine.threads,
        python=platform.python_version(),
        torch=torch.__version__,
        numpy=np.__version__,
        platform=f"{platform.system()} {platform.machine()}",
        cpu_capability=torch.backends.cpu.get_cpu_capability(),
        route=machine.numerics.route.value,
        self_test_error=machine.numerics.self_test_error,
        refused_error=machine.numerics.refused_error,
        network=network,
    )


def hardware(machine: Machine) -> str:
    """The devices that score, for people."""
    name = device_name(machine.device)
    if machine.device.type == "cuda":
        return f"{machine.world_size}x {name}"
    cores = machine.threads * machine.world_size
    return f"{cores} CPU {'core' if cores == 1 else 'cores'} ({name})"


def device_name(device: torch.device) -> str:
    """What the GPU or the processor calls itself."""
    if device.type == "cuda":
        name: str = torch.cuda.get_device_name(device)
        return name
    try:
        lines = CPUINFO.read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _device(wish: str, *, local_rank: int) -> torch.device:
    available = torch.cuda.is_available()
    if wish == "cuda" and not available:
        raise DeviceUnavailable("device cuda: no CUDA device is visible to torch")
    if wish == "cpu" or not available:
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        got = torch.cuda.device_count()
        raise DeviceUnavailable(f"local rank {local_rank}: expected one GPU a process, got {got}")
    return torch.device("cuda", local_rank)
