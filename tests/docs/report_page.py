"""docs/report.md: every field of a report, as the verifier's models know them."""

from pydantic import BaseModel

from tests.docs.model_tables import first_paragraph, sections, table
from verifier.report import SCHEMA_ID, Report

HEAD = f"""# The report's fields

Version `{SCHEMA_ID}`, from the code; the JSON schema is [report.schema.json](report.schema.json). What the checks mean
stands under [verification](verification.md); who vouches for a report, under [signing](signing.md). A part that the run
did not reach is absent.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *(_section(path, model) for path, model in sections(Report))])


def _section(path: str, model: type[BaseModel]) -> str:
    title = f"`{path}`" if path else "Report"
    return f"## {title}\n\n{first_paragraph(model)}\n\n{table(model, with_default=False)}\n"
