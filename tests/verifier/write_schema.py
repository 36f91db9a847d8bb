"""Writes docs/report.schema.json from the code: `python -m tests.verifier.write_schema`, part of `make golden`."""

import json
from pathlib import Path

from verifier.report import schema

SCHEMA_FILE = Path(__file__).parents[2] / "docs" / "report.schema.json"


def schema_text() -> str:
    return json.dumps(schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_FILE.write_text(schema_text())
