"""An artifact that is a ZIP archive too: the archive's directory follows the payload.

Hoped for: one digest for two contents, code smuggled beside the weights and outside the byte count.
"""

import io
import zipfile

from tests.forge import Draft

EXPECTED = "bad-payload-length"


def build() -> bytes:
    """The file."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("train_gpt.py", "import os")
    return Draft(tail=archive.getvalue()).build()
