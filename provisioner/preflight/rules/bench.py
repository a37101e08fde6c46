"""What was measured, beside what such parts are usually good for, and what it means for a model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from provisioner.audit import Rate, Reading
from provisioner.preflight.disk_times import MODEL_BYTES, reference, seconds_to_load
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.words import listed, seconds, several, size

# A disk that is busy, or shared with others, falls short of its figure without being another kind of disk.
_SHORT = 0.85
# What decode speed is told for: weights of five gigabytes are read once for each token.
_MODEL = "Qwen3-8B"
_QUANTIZATION = "Q4_K_M"


def disk(case: Case) -> Iterator[Verdict]:
    """The disk of the weights, read in one go and here and there."""
    if case.audit.bench is None:
        return
    straight, single = case.audit.bench.sequential, case.audit.bench.random
    rate = straight.value
    if rate is None:
        yield cannot(straight, "How fast the disk of the weights is read")
        return
    if _nothing(rate):
        yield _senseless(straight, "How fast the disk of the weights is read")
        return
    sata, nvme = reference("sata"), reference("nvme")
    summary = (
        f"The disk of the weights reads {_rate(rate)}: a model of {size(MODEL_BYTES)} is loaded in "
        f"{seconds(seconds_to_load(rate.bytes_per_second))}"
    )
    observed = f"{_rate(rate)} in one go"
    if single.value is not None:
        observed += f", {single.value.bytes_per_second / 4096:.0f} single pages a second"
    limits = "A guest's disk may be a file in its host's memory." if case.virtual else ""
    evidence = tuple(seen(one, one.value.how) for one in (straight, single) if one.value is not None)
    beside = f"{nvme.what} {size(nvme.bytes_per_second)}, {sata.what} {size(sata.bytes_per_second)} a second"
    if rate.bytes_per_second >= sata.bytes_per_second * _SHORT:
        yield good(
            summary, observed, expected=f"usual: {beside}", evidence=evidence, weight="info", limits=limits
        )
        return
    yield bad(
        f"{summary}: slower than a solid-state disk",
        observed,
        f"usual: {beside}",
        evidence=evidence,
        confidence="likely",
        limits=limits,
        remedy=by_hand(
            "Measure again while nothing else uses the disk.",
            "Keep weights on a solid-state disk of the machine's own.",
            actor="owner",
        ),
    )


def memory(case: Case) -> Iterator[Verdict]:
    """The memory: it decides how fast a model generates on the processor."""
    if case.audit.bench is None:
        return
    reading = case.audit.bench.memory
    rate = reading.value
    if rate is None:
        yield cannot(reading, "How fast memory is read")
        return
    if _nothing(rate):
        yield _senseless(reading, "How fast memory is read")
        return
    ddr4, ddr5 = reference("ddr4-3200"), reference("ddr5-4800")
    alone: Reading[Rate] = case.audit.bench.memory_one_thread
    observed = f"{_rate(rate)} with all processors"
    if alone.value is not None:
        observed += f", {_rate(alone.value)} with one"
    channels = rate.bytes_per_second / ddr4.bytes_per_second
    tokens = rate.bytes_per_second / bytes_a_token()
    yield good(
        f"Memory is read at {_rate(rate)}, as {several(max(1, round(channels)), 'channel')} of DDR4-3200: "
        f"a model of 8 billion parameters in 4 bits generates at most about {tokens:.0f} tokens a second "
        "on the processor",
        observed,
        expected="a channel: " + listed([f"{one.what} {size(one.bytes_per_second)}" for one in (ddr4, ddr5)])
        + " a second",
        evidence=tuple(seen(one, one.value.how) for one in (reading, alone) if one.value is not None),
        weight="info",
        limits="Generating is slower where there are too few processors to compute that fast.",
    )  # fmt: skip


@cache
def bytes_a_token() -> float:
    """Bytes of memory bandwidth that a token costs with llama.cpp, as the memory planner counts them."""
    from provisioner.sizing import catalogue, speed
    from provisioner.sizing.model import Load, Machine, Way

    way = Way("llama", "cpu", quantization=_QUANTIZATION)
    gigabyte = Machine(ram_bytes=0, ram_bandwidth=10**9)
    tokens = speed.tokens_per_second(catalogue.shape(_MODEL), way, Load(), gigabyte)
    assert tokens is not None
    return 10**9 / tokens


def _nothing(rate: Rate) -> bool:
    """Whether a rate is no rate: the clock stood still, or somebody made it up."""
    return not 0 < rate.bytes_per_second < 1e15


def _senseless(reading: Reading[Rate], thing: str) -> Verdict:
    why = "what was measured is no rate"
    return Verdict("error", f"{thing}: {why}", reason=why, evidence=(seen(reading),))


def _rate(rate: Rate) -> str:
    return f"{size(rate.bytes_per_second)} a second"


RULES = (
    Rule("bench.disk", "storage", disk),
    Rule("bench.memory", "memory", memory),
)
