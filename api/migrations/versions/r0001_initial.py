"""The first tables of the service.

The statements stand beside this file as SQL: they never change once a version is released, whatever becomes of
`api/store/tables.py`.
"""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    for statement in Path(__file__).with_suffix(".sql").read_text().split(";\n"):
        if statement.strip():
            op.execute(statement)
