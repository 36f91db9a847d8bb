"""Floods: of wrong credentials of one address, of requests of one client."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import update
from starlette.requests import Request

from api.access import address_of
from api.floods import Floods
from api.store import tables
from tests.api.service import Service


def test_a_flood_of_wrong_tokens_is_429_and_does_not_reach_the_database(service: Service) -> None:
    with service.changed(floods=Floods(wrong=3)):
        answers = [service.get("/tracks", "sg_wrong") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


def test_a_flood_of_wrong_tokens_does_not_lock_out_those_that_share_the_address(service: Service) -> None:
    with service.changed(floods=Floods(wrong=2)):
        assert service.get("/tracks").status_code == 200
        wrong = [service.get("/tracks", f"sg_wrong_{number}").status_code for number in range(4)]
        assert wrong == [401, 401, 429, 429]
        assert service.get("/tracks").status_code == 200, "it has held before"
        assert service.client.get("/keys").status_code == 200, "without a credential none can be wrong"
        service.execute(update(tables.tokens).values(revoked_at=datetime.now(UTC)))
        assert [service.get("/tracks").status_code for _ in range(2)] == [401, 429], "it does not hold any more"


def test_a_flood_of_an_anonymous_readers_requests_is_429(service: Service) -> None:
    with service.configured(public_read=True), service.changed(floods=Floods(requests=2)):
        assert [service.client.get("/tracks").status_code for _ in range(3)] == [200, 200, 429]
        assert service.get("/tracks").status_code == 200, "a token is counted by itself"
        assert service.client.get("/badge/nobody.svg").status_code == 429


def test_a_flood_of_logins_is_429_though_the_token_holds(service: Service) -> None:
    with service.changed(floods=Floods(requests=2)):
        answers = [service.client.post("/login", data={"token": service.alice}) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [303, 303, 429]
        assert service.client.get("/login").status_code == 429


def test_a_flood_of_one_tokens_requests_is_429(service: Service) -> None:
    with service.changed(floods=Floods(requests=2)):
        answers = [service.get("/tracks").status_code for _ in range(3)]
        assert answers == [200, 200, 429]
        assert service.get("/tracks", service.token("bob")).status_code == 200


@pytest.mark.parametrize(
    ("address", "under"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::7", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
    ],
)
def test_addresses_of_one_ipv6_network_are_counted_as_one_client(address: str, under: str) -> None:
    assert address_of(Request({"type": "http", "client": (address, 1)})) == under
