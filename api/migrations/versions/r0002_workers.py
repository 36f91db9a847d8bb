"""The table of workers; names of machines leave the histories of jobs, which readers see."""

from api.migrations.beside import run_sql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table, and let workers of before be nameless."""
    run_sql(__file__)
