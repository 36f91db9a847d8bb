"""The bench: the machine with the opened validation set and, once it is built, the network merged for scoring."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from artifact.model.decoder import Decoder
from verifier import environment
from verifier.case import Case, Watch
from verifier.environment import Machine
from verifier.errors import CheckFailed, Code, MachineTooSmall
from verifier.report import EvalRecord
from verifier.valset import ValidationSet
from verifier.windows import Windows, plan_windows

CPU_ALLOCATION_FAILURE = "can't allocate memory"  # torch raises a plain RuntimeError on a CPU


@dataclass(slots=True, kw_only=True)
class Bench:
    """Where the checks with torch work; `network` is there after the backbone check."""

    machine: Machine
    valset: ValidationSet
    watch: Watch
    network: Decoder | None = field(default=None, repr=False)

    @property
    def merged(self) -> Decoder:
        """The network, which the backbone check has built."""
        assert self.network is not None
        return self.network


def set_up(case: Case, valset: ValidationSet, watch: Watch) -> Bench:
    """Prepare the machine, and write it down with the settings of the evaluation.

    Raises:
        DeviceUnavailable: no such device, or one that rounds float32 products.
    """
    assert case.manifest is not None
    machine = environment.set_up(case.settings)
    record = environment.record(machine, case.track, network=case.network)
    limits = {"wall_seconds": case.settings.wall_seconds or case.track.eval_seconds, "memory_bytes": case.memory_bytes}
    case.environment = record.model_copy(update=limits)
    windows = case.manifest.eval
    case.eval = EvalRecord(
        mode=windows.mode.value,
        seq_len=windows.seq_len,
        stride=windows.stride,
        dtype=case.settings.dtype,
        batch_windows=machine.batch_windows(case.settings),
        sample=case.settings.sample,
    )
    return Bench(machine=machine, valset=valset, watch=watch)


def plan(case: Case, bench: Bench) -> Windows:
    """The windows in which the artifact wants to be scored, over the set's stream."""
    assert case.manifest is not None
    windows = case.manifest.eval
    return plan_windows(len(bench.valset.tokens), seq_len=windows.seq_len, stride=windows.stride)


@contextmanager
def memory_verdict(case: Case) -> Iterator[None]:
    """Say whose fault it is when memory runs out: the artifact's at the track's limit, else this machine's.

    Raises:
        CheckFailed: memory-limit.
        MachineTooSmall: the limit in force is below the track's.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        allowed = case.track.cost.max_memory_bytes
        if case.memory_bytes is None or case.memory_bytes < allowed:
            raise MachineTooSmall(f"memory ran out below the {allowed:,} bytes that the track allows") from None
        raise CheckFailed(
            Code.MEMORY_LIMIT,
            expected=f"at most {allowed:,} bytes of memory",
            got="an allocation beyond them",
            hint="declare a smaller network, vocabulary or window",
        ) from None


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or CPU_ALLOCATION_FAILURE in str(error)
