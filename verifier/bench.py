"""The bench: the machine with the opened validation set and, once it is built, the network merged for scoring."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from artifact.model.decoder import Decoder
from verifier import environment
from verifier.case import Case, Watch
from verifier.cost import batch_tokens
from verifier.environment import Machine
from verifier.errors import CheckFailed, Code, Inconclusive, MachineTooSmall
from verifier.report import EvalRecord
from verifier.target_nats import Nats
from verifier.valset import ValidationSet
from verifier.windows import Windows, plan_windows

CPU_ALLOCATION_FAILURE = "can't allocate memory"  # torch raises a plain RuntimeError on a CPU


@dataclass(slots=True, kw_only=True)
class Bench:
    """Where the checks with torch work.

    Attributes:
        machine: computes.
        valset: the opened set.
        windows: in which the artifact wants to be scored, over the set's stream.
        batch_windows: windows in every batch.
        watch: told how far the run is.
        network: there after the backbone check.
        target_nats: of every target in stream order; there after a whole set was scored.
    """

    machine: Machine
    valset: ValidationSet
    windows: Windows
    batch_windows: int
    watch: Watch
    network: Decoder | None = field(default=None, repr=False)
    target_nats: Nats | None = field(default=None, repr=False)

    def observe(self, nats: Nats) -> None:
        """Keep the nats that were scored."""
        self.target_nats = nats

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
    machine, declared = environment.set_up(case.settings), case.manifest.eval
    windows = plan_windows(len(valset.tokens), seq_len=declared.seq_len, stride=declared.stride)
    batch_windows = windows.batch_windows(machine.batch_windows(case.settings, seq_len=windows.seq_len))
    record = environment.record(machine, case.track, network=case.network)
    limits = {"wall_seconds": case.settings.wall_seconds or case.track.eval_seconds, "memory_bytes": case.memory_bytes}
    case.environment = record.model_copy(update=limits)
    case.eval = EvalRecord(
        mode=declared.mode.value,
        seq_len=windows.seq_len,
        stride=windows.stride,
        dtype=case.settings.dtype,
        batch_windows=batch_windows,
        sample=case.settings.sample,
    )
    return Bench(machine=machine, valset=valset, windows=windows, batch_windows=batch_windows, watch=watch)


@contextmanager
def memory_verdict(case: Case) -> Iterator[None]:
    """Say whose fault it is when memory runs out: the artifact's at the track's limit, else this machine's or run's.

    Raises:
        CheckFailed: memory-limit.
        MachineTooSmall: the limit in force is below the track's.
        Inconclusive: the batch is an operator's, and larger than the one that the track's limit is meant for.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        allowed = case.track.cost.max_memory_bytes
        if case.memory_bytes is None or case.memory_bytes < allowed:
            raise MachineTooSmall(f"memory ran out below the {allowed:,} bytes that the track allows") from None
        if case.eval is not None and _is_larger_than_predicted(case.eval):
            predicted = batch_tokens(case.eval.seq_len)
            batch = f"{case.eval.batch_windows:,} windows a batch, more than the {predicted:,} tokens that it is for"
            raise Inconclusive(f"memory ran out at the track's limit with {batch}") from None
        raise CheckFailed(
            Code.MEMORY_LIMIT,
            expected=f"at most {allowed:,} bytes of memory",
            got="an allocation beyond them",
            hint="declare a smaller network, vocabulary or window",
        ) from None


def _is_larger_than_predicted(laid: EvalRecord) -> bool:
    """Whether a batch holds more tokens than the cost was predicted with."""
    return laid.batch_windows * laid.seq_len > batch_tokens(laid.seq_len)


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or CPU_ALLOCATION_FAILURE in str(error)
