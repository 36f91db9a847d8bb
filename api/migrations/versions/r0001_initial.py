"""The first tables of the service.

The statements stand beside this file as SQL: they never change once a version is released, whatever becomes of
`api/store/tables.py`.
"""

from api.migrations.beside import run_sql

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    run_sql(__file__)
