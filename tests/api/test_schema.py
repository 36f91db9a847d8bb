"""The API against its own OpenAPI document: whatever is sent, no 500, and every answer is one that is described."""

from typing import Any

import requests
import schemathesis
from httpx2 import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.floods import Floods
from tests.api.service import URL, Service, bearer

CHECKS: Any = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
EXAMPLES = 100


def test_whatever_is_sent_is_answered_as_described(service: Service) -> None:
    schema = schemathesis.openapi.from_dict(service.get("/openapi.json").json())
    operations: list[Any] = [found.ok() for found in schema.get_all_operations()]

    @settings(
        max_examples=EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    @given(case=st.one_of([operation.as_strategy() for operation in operations]))
    def story(case: Any) -> None:
        case.validate_response(sent(service, case), checks=CHECKS)

    with service.changed(floods=Floods(requests=100_000, wrong=100_000)):
        story()


def sent(service: Service, case: Any) -> Response:
    """The answer to a case, sent as the requests library would spell it."""
    parts = case.as_transport_kwargs(base_url=URL, headers=bearer(service.alice))
    known = {"method", "url", "headers", "params", "data", "json", "files", "cookies"}
    prepared = requests.Request(**{name: value for name, value in parts.items() if name in known}).prepare()
    headers = {name: value for name, value in prepared.headers.items() if name.lower() != "content-length"}
    return service.client.request(str(prepared.method), str(prepared.url), content=prepared.body, headers=headers)
