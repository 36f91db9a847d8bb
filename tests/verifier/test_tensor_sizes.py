"""Where the bytes went, tensor by tensor, in every report whose payload could be read."""

import pytest

from artifact.format import container, limits
from artifact.format.tensors import expected_tensors
from tests.verifier.entries import Arena
from tests.verifier.gallery.scenarios import changed, exactly_full
from verifier import bytes_chart, render_html
from verifier.precheck import precheck
from verifier.report import MAX_REPORT_BYTES, Report, SizeRecord, TensorSize, parse


@pytest.fixture(scope="module")
def report(arena: Arena) -> Report:
    return arena.judge(arena.entry())


def test_a_report_holds_every_tensor_in_the_order_of_the_payload(report: Report, arena: Arena) -> None:
    read = container.read(arena.entry())
    specs = expected_tensors(read.manifest)
    assert [tensor.name for tensor in report.size.tensors] == [spec.name for spec in specs]
    assert [tensor.inflated_bytes for tensor in report.size.tensors] == [spec.num_bytes for spec in specs]


def test_the_tensors_and_the_header_sum_to_the_payload(report: Report, arena: Arena) -> None:
    header = next(group for group in report.size.groups if group.group == "header")
    packed = sum(tensor.compressed_bytes for tensor in report.size.tensors) + header.compressed_bytes
    assert packed == len(container.read(arena.entry()).payload)
    assert packed == sum(group.compressed_bytes for group in report.size.groups)


def test_roles_hold_the_layers_together_and_scales_with_their_codes_the_largest_first() -> None:
    tensors = [
        ("embed.weight", 60, 50),
        ("layers.0.attn.q.lora_a", 10, 9),
        ("layers.0.attn.q.lora_a.scale", 4, 3),
        ("layers.11.attn.q.lora_a", 100, 90),
        ("skips.0", 5, 5),
        ("skips.1", 5, 4),
    ]
    size = SizeRecord(
        artifact_bytes=200,
        code_bytes=0,
        total_bytes=200,
        limit_bytes=1000,
        margin_bytes=800,
        tensors=tuple(TensorSize(name=name, inflated_bytes=a, compressed_bytes=b) for name, a, b in tensors),
    )
    found = [(role.name, role.num_tensors, role.inflated_bytes, role.packed_bytes) for role in bytes_chart.roles(size)]
    assert found == [("layers.*.attn.q.lora_a", 3, 114, 102), ("embed.weight", 1, 60, 50), ("skips.*", 2, 10, 9)]


def test_the_html_shows_every_role_and_how_it_was_measured(report: Report) -> None:
    page = render_html.fragment(report)
    assert bytes_chart.PACKED in page
    for role in bytes_chart.roles(report.size):
        assert f'<th scope="row">{role.name}</th>' in page


def test_a_report_from_before_tensors_were_measured_shows_its_groups_alone(report: Report) -> None:
    old = report.model_copy(update={"size": report.size.model_copy(update={"tensors": ()})})
    page = render_html.fragment(parse(old.to_bytes()))
    assert bytes_chart.PACKED not in page
    assert "Where the bytes went" in page


def test_a_file_over_the_limit_shows_where_its_bytes_went(arena: Arena) -> None:
    data = changed("name", to="tiny entry!")(arena)
    rejected = precheck(data, track=exactly_full(arena), registration=arena.registration)
    assert rejected is not None
    assert rejected.code == "over-size"
    assert len(rejected.size.tensors) == len(expected_tensors(container.read(data).manifest))


def test_a_file_whose_payload_cannot_be_read_shows_none(arena: Arena) -> None:
    rejected = precheck(arena.entry()[:-1], track=arena.track, registration=arena.registration)
    assert rejected is not None
    assert rejected.size.tensors == ()


def test_a_report_of_the_largest_network_is_still_read(report: Report) -> None:
    tensor = TensorSize(
        name="layers.255.attn.out.lora_a.scale", inflated_bytes=limits.MAX_INFLATED_BYTES, compressed_bytes=16_000_000
    )
    size = report.size.model_copy(update={"tensors": (tensor,) * limits.MAX_TENSORS})
    largest = report.model_copy(update={"size": size})
    assert len(largest.to_bytes()) < MAX_REPORT_BYTES
    assert parse(largest.to_bytes()) == largest
