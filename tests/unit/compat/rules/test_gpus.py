"""How a GPU is told of."""

from __future__ import annotations

from provisioner.compat.box import Device
from provisioner.compat.rules.gpus import architecture_of, here, is_of, sm

from .asking import ask, box, decision


def test_a_known_model_is_told_with_the_source_of_its_data() -> None:
    (device,) = box(gpu="2x RTX 5090").gpus or ()
    there, what = is_of(device)
    assert (there.text, there.kind, there.change) == (
        "2 × RTX 5090 here", "box", "a GPU other than RTX 5090",
    )  # fmt: skip
    assert (what.id, what.text, what.kind) == (
        "gpus.GeForce RTX 5090.capability", "RTX 5090 is sm_120 (Blackwell)", "data",
    )  # fmt: skip
    assert (what.source, what.confidence) == (device.entry.source, device.entry.confidence)  # type: ignore[union-attr]
    assert here(device) == there


def test_what_a_gpu_reports_of_itself_is_a_fact_of_the_box() -> None:
    device = Device("Something New", 1, "12.0", None, None)
    assert [(fact.kind, fact.text) for fact in is_of(device)] == [
        ("box", "Something New here"), ("box", "Something New is sm_120 (Blackwell)"),
    ]  # fmt: skip
    architecture = architecture_of(device)
    assert architecture is not None
    assert architecture.name == "Blackwell"


def test_a_capability_that_nobody_knows_is_told_and_constrains_little() -> None:
    assert [fact.text for fact in is_of(Device("Newer", 1, "99.0", None, None))][1] == "Newer is sm_990"
    assert is_of(Device("Newest", 1, None, None, None)) == ()
    assert sm("8.9") == "sm_89"


def test_a_gpu_that_nobody_knows_is_noted() -> None:
    where = box()
    unknown = Device("Newest", 1, None, 64_000_000_000, None)
    found = decision(type(where)(**{**vars(where), "gpus": (unknown,)}), ask())
    assert "what Newest is is not known here: nothing was checked against it" in found.notes
