"""The artifact: the file format, the frozen backbone and the network that a file means.

    artifact.read(data) -> Artifact        any bytes give an Artifact or an ArtifactError
    artifact.write(artifact) -> bytes

`artifact.model` imports torch; nothing here does.
"""

from artifact.format.container import Artifact, assemble, read, read_manifest, write, write_file
from artifact.format.errors import ArtifactError

__all__ = ["Artifact", "ArtifactError", "assemble", "read", "read_manifest", "write", "write_file"]
