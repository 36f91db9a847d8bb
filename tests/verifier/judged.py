"""Reports as a judge would write them, for tests of what is done with reports: signing and comparing."""

import hashlib
import json
from typing import Any

from verifier.report import CheckName, CheckResult, Evidence, Report, Status, Verdict

TOKENS, BYTES = 1024, 2500


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def accepted(label: str, *, val_loss: float = 2.0, seed: int = 1, config: str = "config", **changes: Any) -> Report:
    """An accepted report about the artifact `label`; `changes` replace fields, `part__field` a field of a part."""
    bits = val_loss * TOKENS / BYTES / 0.6931471805599453
    fields: dict[str, Any] = {
        "verifier_version": "0.1.0",
        "verdict": "accepted",
        "artifact": {"sha256": digest(label), "bytes": 900_000, "name": label, "num_learned": 10, "num_frozen": 90},
        "track": {"name": "local", "sha256": digest("local"), "limit_bytes": 16_000_000, "eval_seconds": 600.0},
        "valset": {
            "name": "demo",
            "sha256": digest("demo"),
            "pieces_sha256": digest("pieces"),
            "documents": 3,
            "tokens": TOKENS + 1,
            "bytes": BYTES + 1,
            "targets": TOKENS,
            "target_bytes": BYTES,
        },
        "checks": [
            CheckResult(name=name, status=Status.PASSED, evidence=Evidence.MEASURED).model_dump(
                mode="json", exclude_none=True
            )
            for name in CheckName
        ],
        "size": {
            "artifact_bytes": 900_000,
            "code_bytes": 60_000,
            "total_bytes": 960_000,
            "limit_bytes": 16_000_000,
            "margin_bytes": 15_040_000,
            "groups": [{"group": "embedding", "inflated_bytes": 70_000, "compressed_bytes": 60_000}],
        },
        "backbone": {"algorithm": "frozen-backbone/1", "seed": "7", "codes_sha256": digest("codes"), "num_maps": 4},
        "eval": {"mode": "plain", "seq_len": 256, "stride": 256, "dtype": "float32", "batch_windows": 4},
        "score": {
            "val_loss": val_loss,
            "val_bpb": bits,
            "tokens": TOKENS,
            "bytes": BYTES,
            "windows": 4,
            "nats_sha256": digest(f"nats of {label}"),
            "dtype": "float32",
            "seconds": 1.5,
        },
        "training": {
            "preset": "demo",
            "config_sha256": digest(config),
            "seed": str(seed),
            "steps": 100,
            "tokens": 819_200,
            "train_seconds": 90.0,
            "world_size": 1,
            "device": "2 CPU threads",
            "torch": "2.13.0",
            "num_train_shards": 1,
        },
    }
    for path, value in changes.items():
        part, _, field = path.partition("__")
        if field:
            fields[part] = {**fields[part], field: value}
        else:
            fields[part] = value
    return Report.model_validate_json(json.dumps({key: value for key, value in fields.items() if value is not None}))


def curved(label: str, *, val_loss: float = 2.0, **changes: Any) -> Report:
    """As `accepted`, with curves: 8 segments that grow harder, 3 groups of positions that grow easier."""
    tokens, counted = TOKENS // 8, [BYTES // 8 + (BYTES % 8 if number == 7 else 0) for number in range(8)]
    slopes = [val_loss * (0.93 + 0.02 * number) for number in range(8)]
    segments = [
        {"tokens": tokens, "bytes": part, "nats": tokens * loss} for part, loss in zip(counted, slopes, strict=True)
    ]
    groups = ((1, 1, 4, 1.5), (2, 2, 40, 1.2), (3, 256, TOKENS - 44, 0.99))
    positions = [
        {"first": first, "last": last, "tokens": count, "nats": count * val_loss * factor}
        for first, last, count, factor in groups
    ]
    score = accepted(label, val_loss=val_loss).score
    assert score is not None
    fields = score.model_dump(mode="json", exclude_none=True)
    fields["curve"] = {"segments": segments, "positions": positions}
    return accepted(label, val_loss=val_loss, **changes | {"score": fields})


def rejected(label: str, *, code: str = "over-size") -> Report:
    """A report that rejects the artifact `label` for its size."""
    good = accepted(label)
    failed = CheckResult(name=CheckName.SIZE, status=Status.FAILED, evidence=Evidence.MEASURED, code=code)
    checks = tuple(failed if check.name is CheckName.SIZE else check for check in good.checks)
    return good.model_copy(update={"verdict": Verdict.REJECTED, "code": code, "checks": checks})
