"""The content security policy of a standalone report page, which carries its style sheet inside."""

import base64
import hashlib
from functools import cache

from verifier import render_html


@cache
def standalone_policy() -> str:
    """Nothing but this one style sheet, named by its digest."""
    digest = base64.b64encode(hashlib.sha256(render_html.style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
