"""What every rendering of a report says, in plain words and once: the verdict line and the facts by who vouches.

Terminal, Markdown and HTML differ in form only. A text here may hold a submitter's words: who renders it escapes it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from verifier.report import ClaimRecord, CurveRecord, Evidence, Report, ScreeningRecord, TrainingRecord, Verdict

TITLES: Final = {
    Evidence.MEASURED: "Measured here",
    Evidence.CLAIMED: "Claimed by the submitter",
    Evidence.ATTESTED: "Attested by the submitter, which no file can prove",
}

Row = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Facts that stand on one kind of evidence."""

    evidence: Evidence
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The evidence in words."""
        return TITLES[self.evidence]


def verdict_line(report: Report) -> str:
    """The verdict with what it rests on, in one line."""
    parts = [_verdict(report)]
    machine, reference = report.environment, report.track.reference_hardware
    if machine and reference and not machine.is_reference and (report.score or report.screening):
        parts.append(f"times measured on {machine.hardware}, not on {reference}")
    return "; ".join(parts)


def _verdict(report: Report) -> str:
    if report.verdict is Verdict.REJECTED:
        return f"rejected: {report.code}"
    where = f"on {report.valset.name}, track {report.track.name}" if report.valset else f"track {report.track.name}"
    if report.score and report.verdict is Verdict.ACCEPTED:
        return f"accepted: val_bpb {report.score.val_bpb:.6f} {where}"
    assert report.screening is not None
    return f"screened: val_bpb {_interval(report.screening)} {where}; a sample is no score"


def _interval(screening: ScreeningRecord) -> str:
    found = screening.val_bpb
    return f"about {found.estimate:.4f} ({screening.confidence:.0%} interval {found.low:.4f} to {found.high:.4f})"


def sections(report: Report) -> tuple[Section, ...]:
    """All facts, grouped by evidence in the order of its weight; kinds without a fact are left out."""
    rows: dict[Evidence, list[Row]] = {evidence: [] for evidence in Evidence}
    rows[Evidence.MEASURED] += _measured(report)
    rows[Evidence.CLAIMED] += _claimed(report)
    if report.training:
        rows[report.training.evidence] += _training(report.training)
    return tuple(Section(evidence=evidence, rows=tuple(found)) for evidence, found in rows.items() if found)


def _measured(report: Report) -> Iterator[Row]:
    yield from _score(report)
    size = report.size
    left = f"{size.margin_bytes:,} left" if size.margin_bytes >= 0 else f"{-size.margin_bytes:,} over"
    sizes = f"{size.artifact_bytes:,} artifact + {size.code_bytes:,} code = {size.total_bytes:,}"
    yield "bytes", f"{sizes} of {size.limit_bytes:,} ({left})"
    yield "artifact", report.artifact.sha256
    if report.artifact.num_learned is not None:
        yield "parameters", f"{report.artifact.num_learned:,} learned, {report.artifact.num_frozen:,} frozen"
    if report.backbone:
        backbone = report.backbone
        yield "backbone", f"{backbone.algorithm}, seed {backbone.seed}, {backbone.num_maps} maps"
        yield "backbone digest", backbone.codes_sha256
    if report.valset:
        valset = report.valset
        official = f", official set {valset.official}" if valset.official else ""
        yield "validation set", f"{valset.name}{official}: {valset.targets:,} targets, {valset.target_bytes:,} bytes"
        yield "set digest", valset.sha256
    yield "track", f"{report.track.name}, digest {report.track.sha256}"
    yield from _machine(report)
    yield "verifier", report.verifier_version


def _score(report: Report) -> Iterator[Row]:
    if report.score:
        score = report.score
        yield "val_bpb", f"{score.val_bpb:.8f}"
        yield "val_loss", f"{score.val_loss:.8f} nats per token"
        yield "scored", f"{score.tokens:,} targets, {score.bytes:,} bytes, {score.windows:,} windows"
        if score.curve:
            yield from _curve(score.curve)
        yield "nats digest", score.nats_sha256
        yield "scoring time", f"{score.seconds:,.1f} s of {report.track.eval_seconds:g}"
    if report.screening:
        found = report.screening
        yield "val_bpb, estimated", f"{_interval(found)}, no score"
        yield (
            "sampled",
            f"{found.windows:,} of {found.all_windows:,} windows by seed {found.seed}, {found.tokens:,} targets",
        )
    if report.eval:
        windows = report.eval
        shape = f"{windows.mode} windows of {windows.seq_len:,}, stride {windows.stride:,}"
        yield "windows", f"{shape}, {windows.dtype.value}, {windows.batch_windows} a batch"


def _curve(curve: CurveRecord) -> Iterator[Row]:
    """The curves' ends, for renderings that draw none."""
    found = [segment.val_bpb for segment in curve.segments if segment.val_bpb is not None]
    yield "along the set", f"val_bpb {min(found):.4f} to {max(found):.4f} over {len(curve.segments)} equal parts"
    first, last = curve.positions[0], curve.positions[-1]
    rest = f"{last.val_loss:.4f} nats with {last.first:,} to {last.last:,}"
    yield "by position", f"{first.val_loss:.4f} nats with {first.last} token of the window before, {rest}"


def _machine(report: Report) -> Iterator[Row]:
    machine = report.environment
    if machine is None:
        return
    reference = report.track.reference_hardware
    suffix = "" if reference is None else ", the reference hardware" if machine.is_reference else f", not {reference}"
    yield "machine", f"{machine.hardware}{suffix}"
    versions = f"torch {machine.torch}, numpy {machine.numpy}, Python {machine.python}"
    yield "software", f"{versions}, {machine.platform}, {machine.threads} threads"
    route = f"{machine.route}, off by {machine.self_test_error:.1e} from float64"
    yield "float32 products", f"{route} ({machine.cpu_capability})"
    yield "network", machine.network


def _claimed(report: Report) -> Iterator[Row]:
    artifact = report.artifact
    for label, text in (("name", artifact.name), ("author", artifact.author), ("license", artifact.license)):
        if text is not None:
            yield label, text
    for claim in report.claims:
        yield claim.quantity, claim_text(claim)


def claim_text(claim: ClaimRecord) -> str:
    """A claimed number beside the measured one."""
    text = f"{claim.claimed:g} {claim.unit}" if claim.measured is None else f"{claim.claimed:.8f} {claim.unit}"
    if claim.measured is None:
        return f"{text}, not measured"
    text += f", measured {claim.measured:.8f}, difference {claim.difference:+.1e}"
    return text if claim.tolerance is None else f"{text}, tolerance {claim.tolerance:.1e}"


def _training(training: TrainingRecord) -> Iterator[Row]:
    yield (
        "training",
        f"{training.train_seconds:g} s on {training.world_size} x {training.device}, torch {training.torch}",
    )
    yield "recipe", f"preset {training.preset}, seed {training.seed}, config {training.config_sha256}"
    yield "trained on", f"tokens {training.tokens:,}, steps {training.steps:,}, shards {training.num_train_shards}"
