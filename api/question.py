"""What a job answers: one artifact, one validation set, one set of limits, one verifier, one kind of machine.

Law: the same question has the same `job_id`, whoever asks it and however often.
"""

import hashlib
import json
from dataclasses import asdict, dataclass

from api.hardware_class import HardwareClass
from verifier.report import ScoreDtype


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question to the verifier; every digest is SHA-256 in hex.

    Attributes:
        artifact_sha256: the uploaded file.
        valset_sha256: the validation set, empty where none could be chosen because the manifest cannot be read.
        track_sha256: the limits.
        verifier_version: of the installation that answers.
        hardware_class: of the worker that answers.
        dtype: of the products.
    """

    artifact_sha256: str
    valset_sha256: str
    track_sha256: str
    verifier_version: str
    hardware_class: HardwareClass
    dtype: ScoreDtype

    @property
    def job_id(self) -> str:
        """SHA-256 of the fields as sorted compact JSON, in hex."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def queue(self) -> str:
        """The queue that only workers of this version and class listen to."""
        return queue_name(self.verifier_version, self.hardware_class)


def queue_name(verifier_version: str, hardware_class: HardwareClass) -> str:
    """The queue of a verifier version and a class of machines."""
    return f"verify.{verifier_version}.{hardware_class}"
