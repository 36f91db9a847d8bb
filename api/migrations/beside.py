"""A step of the migrations whose statements stand beside it as SQL."""

from pathlib import Path

from alembic import op


def run_sql(step: str) -> None:
    """Run the `.sql` file beside the module file `step`; a statement ends with a semicolon at a line's end."""
    for statement in Path(step).with_suffix(".sql").read_text().split(";\n"):
        if statement.strip():
            op.execute(statement)
