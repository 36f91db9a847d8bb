"""MFU: the share of its devices' peak that a training reaches; nothing is said of a device that is not in the table.

Operations are those that `artifact.model.flops` counts: a frozen map costs no dW.
"""

from typing import Final

import torch

from artifact.format.architecture import Network
from artifact.model.flops import flops_per_token

PEAK_BFLOAT16_FLOPS: Final = {
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "H200": 989e12,
    "H800": 989e12,
    "A100": 312e12,
    "B200": 2250e12,
    "L40S": 362e12,
    "RTX 4090": 165e12,
    "RTX 5090": 210e12,
}
"""Dense, per second, from the vendor's data sheets, by a part of the device's name; the first that fits counts."""


def peak_flops(device_name: str) -> float | None:
    """The dense bfloat16 peak of a device, or None when it is not in the table."""
    return next((peak for part, peak in PEAK_BFLOAT16_FLOPS.items() if part in device_name), None)


def device_name(device: torch.device) -> str:
    """What the device calls itself; a CPU is named by what torch makes of it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU ({torch.backends.cpu.get_cpu_capability()}), {threads} thread{'s' if threads > 1 else ''}"


class Mfu:
    """Turns tokens per second of all devices together into a share of their peak."""

    def __init__(self, network: Network, device: torch.device, *, world_size: int) -> None:
        peak = peak_flops(device_name(device))
        self._peak = None if peak is None else peak * world_size
        self._per_token = flops_per_token(network, seq_len=network.model.seq_len).training

    def of(self, tokens_per_second: float) -> float | None:
        """The share, or None where the peak is not known."""
        return None if self._peak is None else tokens_per_second * self._per_token / self._peak
