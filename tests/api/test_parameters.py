"""Parameters as forms send them."""

import pytest

from tests.api.service import HTML, Service


@pytest.mark.parametrize("path", ["/leaderboard?track=&valset=", "/leaderboard?track=local&valset=&history=1"])
def test_the_empty_choice_of_the_leaderboards_form_chooses_nothing(service: Service, path: str) -> None:
    assert service.get(path, **HTML).status_code == 200


@pytest.mark.parametrize("name", ["A", "a b", "-a", "a" * 65])
def test_a_name_that_no_track_can_have_is_refused(service: Service, name: str) -> None:
    assert service.get(f"/leaderboard?track={name}").json()["code"] == "invalid-request"
