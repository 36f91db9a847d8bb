import copy
from typing import Any

import pytest

from artifact.format import container
from artifact.format.manifest import Manifest
from tests.forge import Draft, Json
from tests.verifier import entries
from tests.verifier.entries import Arena
from verifier.case import Case
from verifier.cost import BASE_BYTES, predict
from verifier.errors import MachineTooSmall
from verifier.settings import Settings
from verifier.static_checks import check_container, check_cost, check_fits


def declared(**changes: Any) -> Manifest:
    made: Json = copy.deepcopy(entries.manifest())
    for path, value in changes.items():
        part, key = path.split("__")
        made[part][key] = value
    return container.read(Draft(manifest=made).build()).manifest


def test_the_numbers_of_the_tiny_entry_are_those_counted_by_hand() -> None:
    cost = predict(declared(), num_tokens=5_121)
    lora = 2 * (8 + 8) + 2 * 2 * (4 + 8) + 2 * (8 + 16)  # q, k and v, up
    learned = 260 * 8 + lora + 8 * 8 + 16 * 8 + 2 + 2 * 8  # embedding, adapters, out, down, q_gain, the two gates
    frozen = 8 * 8 + 2 * 4 * 8 + 16 * 8
    assert cost.parameters == learned + frozen
    per_token = 2 * (8 * 8 * 2 + 4 * 8 * 2 + 16 * 8 * 2) + 2 * 260 * 8 + 4 * 8 * (64 + 1) / 2
    assert cost.eval_flops == per_token * 64 * 80
    numbers = learned + frozen + 448 + 3 * 128 + (5 * 260 + 12 * 8 + 2 * 16) * 4_096
    assert cost.memory_bytes == BASE_BYTES + 4 * numbers


def test_a_shorter_stride_costs_more_and_a_longer_window_more_memory() -> None:
    plain = predict(declared(), num_tokens=100_000)
    sliding = predict(declared(eval__mode="sliding", eval__stride=16), num_tokens=100_000)
    assert sliding.eval_flops == pytest.approx(4 * plain.eval_flops, rel=0.01)
    longer = predict(declared(eval__seq_len=65_536, eval__stride=65_536), num_tokens=100_000)
    assert longer.memory_bytes - BASE_BYTES > 10 * (plain.memory_bytes - BASE_BYTES)


def test_a_window_longer_than_the_stream_is_cut_to_it() -> None:
    cost = predict(declared(eval__seq_len=65_536, eval__stride=65_536), num_tokens=1_025)
    assert cost.eval_flops == predict(declared(eval__seq_len=1_024, eval__stride=1_024), num_tokens=1_025).eval_flops


def test_what_the_track_allows_and_this_run_has_not_is_no_verdict(arena: Arena) -> None:
    case = Case(data=arena.entry(), track=arena.track, registration=arena.registration, settings=Settings())
    check_container(case)
    assert check_cost(case).got
    needed = predict(declared(), num_tokens=arena.registration.tokens).memory_bytes
    check_fits(case, memory_bytes=needed)
    with pytest.raises(MachineTooSmall, match=r"needs 0\.52 GiB"):
        check_fits(case, memory_bytes=needed - 1)
