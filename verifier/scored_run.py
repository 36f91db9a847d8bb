"""What a comparison needs of a report, all of it present: how the run was made, how it was measured, what it scored."""

from dataclasses import dataclass

from verifier.compare_errors import NoRecipe, NotAccepted
from verifier.curve_record import CurveRecord
from verifier.report import Report, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A report, and what to call it in a message: its file's name, or a job's id."""

    label: str
    report: Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruler:
    """What a score depends on besides the network. Windows in tokens; `tokens` targets with `bytes` bytes of text."""

    valset: str
    valset_sha256: str
    track: str
    track_sha256: str
    windows: str
    dtype: str
    tokens: int
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredRun:
    """One accepted run.

    Attributes:
        label: what messages call it.
        name: what its author calls it.
        config_sha256: the recipe, as claimed.
        network: what was measured of network and storage; runs of one configuration agree in every number.
        seed, backbone_seed: of the training, and of the frozen maps.
        nats_sha256: digest of its per-target nats.
        val_loss: nats per token.
        val_bpb: bits per byte.
    """

    label: str
    name: str
    artifact_sha256: str
    config_sha256: str
    network: tuple[int | None, ...]
    seed: str
    backbone_seed: str
    nats_sha256: str
    val_loss: float
    val_bpb: float
    ruler: Ruler


def scored_run(entry: Entry) -> ScoredRun:
    """Take from a report what a comparison needs.

    Raises:
        NotAccepted: rejected, screened, or without a part that every accepted report has.
        NoRecipe: the artifact does not declare its training.
    """
    report = entry.report
    score, training, backbone = report.score, report.training, report.backbone
    if report.verdict is not Verdict.ACCEPTED:
        got = f"a report that is {report.verdict}" + (f" ({report.code})" if report.code else "")
        raise NotAccepted(entry.label, expected="an accepted report", got=got)
    ruler = _ruler(report)
    if score is None or backbone is None or ruler is None:
        raise NotAccepted(entry.label, expected="an accepted report", got="one that lacks its score's parts")
    if training is None:
        expected = "an artifact that declares its training (configuration and seed)"
        raise NoRecipe(entry.label, expected=expected, got="none")
    sizes = (group.inflated_bytes for group in report.size.groups)
    return ScoredRun(
        label=entry.label,
        name=report.artifact.name or "",
        artifact_sha256=report.artifact.sha256,
        config_sha256=training.config_sha256,
        network=(report.artifact.num_learned, report.artifact.num_frozen, backbone.num_maps, *sizes),
        seed=training.seed,
        backbone_seed=backbone.seed,
        nats_sha256=score.nats_sha256,
        val_loss=score.val_loss,
        val_bpb=score.val_bpb,
        ruler=ruler,
    )


def curve_of(entry: Entry) -> CurveRecord | None:
    """Where a run's loss comes from; None in a report from before there were curves."""
    return entry.report.score.curve if entry.report.score else None


def _ruler(report: Report) -> Ruler | None:
    valset, windows, score = report.valset, report.eval, report.score
    if valset is None or windows is None or score is None:
        return None
    return Ruler(
        valset=valset.name,
        valset_sha256=valset.sha256,
        track=report.track.name,
        track_sha256=report.track.sha256,
        windows=f"{windows.mode}, {windows.seq_len:,} tokens, stride {windows.stride:,}",
        dtype=score.dtype.value,
        tokens=score.tokens,
        bytes=score.bytes,
    )
