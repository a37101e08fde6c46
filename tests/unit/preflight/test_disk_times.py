"""What a rate means in seconds."""

from __future__ import annotations

from typing import get_args

import pytest

from provisioner.preflight.disk_times import Name, reference, references, seconds_to_load


def test_each_reference_is_there_once() -> None:
    assert tuple(rate.name for rate in references()) == get_args(Name)


def test_the_figures_are_those_that_people_know() -> None:
    """Memory: eight bytes a transfer on a channel of 64 bits."""
    assert {rate.name: rate.bytes_per_second / 1e6 for rate in references()} == {
        "hard-disk": 160,
        "sata": 550,
        "nvme": 3500,
        "ddr4-3200": 3200 * 8,
        "ddr5-4800": 4800 * 8,
    }


def test_a_model_of_14_gigabytes() -> None:
    assert seconds_to_load(reference("nvme").bytes_per_second) == pytest.approx(4.0)
    assert seconds_to_load(550e6, 5_500_000_000) == pytest.approx(10.0)


@pytest.mark.parametrize("rate", [0, -1.0])
def test_nothing_is_loaded_at_no_rate(rate: float) -> None:
    with pytest.raises(ValueError, match="never end"):
        seconds_to_load(rate)
