"""The judgement, in pure functions over numbers and tokens: each says what is wrong, or None.

How the limits were found is in docs/smoke-test.md: a healthy model of 270 million parameters, asked a hundred
different things greedily, against the same model broken in forty ways.
"""

from __future__ import annotations

import math
import unicodedata
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

# For a model nobody has measured. A healthy one of 270 million parameters reads the passage at 9, and what
# destroys it brings it to thousands.
GENEROUS_BOUND = 100.0
# Greedy text of a healthy small model may circle, so after a circle it is asked again, with chance.
LEAST_REPEATS = 4
CIRCLING_SHARE = 0.6
# Noise to the model, which yet repeats it: the ids work, their names do not.
NOISE = 5000.0
REPEATS_WELL = 100.0


class Circle(NamedTuple):
    """A run of tokens said over and over: how many make a round, and the share of the text in rounds."""

    period: int
    rounds: float
    share: float


def numbers(logprobs: Sequence[float], where: str) -> Optional[str]:
    """A log-probability that is no number comes from logits that are none."""
    bad = [at for at, value in enumerate(logprobs) if not math.isfinite(value)]
    if not bad:
        return None
    return (
        f"its logits are no numbers (NaN or infinite) {where}, at token {bad[0] + 1} and {len(bad) - 1} more"
    )


def perplexity(logprobs: Sequence[float]) -> float:
    """e to the mean of what each token cost; infinite where it exceeds what a float can hold."""
    mean = -sum(logprobs) / len(logprobs)
    return math.exp(mean) if mean < 700 else math.inf


def reading(logprobs: Sequence[float], repeated: int, bound: float, generous: bool) -> Optional[str]:
    """How well it reads the passage, of which the last `repeated` tokens were said before."""
    value = perplexity(logprobs)
    if value <= bound:
        return None
    kind = "the generous bound for models nobody has measured" if generous else "the profile's bound"
    said = f"it reads the fixed passage with a perplexity of {shown(value)}, {shown(bound)} is {kind}"
    first, again = perplexity(logprobs[:-repeated]), perplexity(logprobs[-repeated:])
    if first >= NOISE and again <= REPEATS_WELL:
        said += (
            f"; what it cannot read ({shown(first)}) it repeats well ({shown(again)}):"
            " most likely the tokenizer is another model's"
        )
    return said


def circle(pieces: Sequence[Any]) -> Optional[Circle]:
    """The longest run that says the same one to n/4 tokens at least four times, if it is most of the text."""
    best = Circle(0, 0.0, 0.0)
    for period in range(1, len(pieces) // LEAST_REPEATS + 1):
        run = 0
        for at in range(period, len(pieces)):
            run = run + 1 if pieces[at] == pieces[at - period] else 0
            rounds = (run + period) / period
            share = (run + period) / len(pieces)
            if rounds >= LEAST_REPEATS and share > best.share:
                best = Circle(period, round(rounds, 1), round(share, 2))
    return best if best.share >= CIRCLING_SHARE else None


def repetitive(pieces: Sequence[Any], least: int) -> Optional[str]:
    """Whether it circles, or has fewer than `least` different tokens; the clause follows "it"."""
    found = circle(pieces)
    if found is not None:
        what = "one token" if found.period == 1 else f"the same {found.period} tokens"
        return f"says {what} {found.rounds:.0f} times over, {found.share:.0%} of its text"
    distinct = len(set(pieces))
    if distinct < min(least, len(pieces)):
        return f"gave {len(pieces)} tokens of which {distinct} are different, {least} is the least"
    return None


def answer(text: str, tokens: int, wanted: int, least: int, stopped: bool) -> Optional[str]:
    """Whether what came is a text of the length that was asked for."""
    least = min(least, wanted)
    if tokens < wanted and not stopped:
        return f"it gave {tokens} of {wanted} tokens and did not say why it stopped"
    if tokens < least:
        return f"it stopped after {tokens} tokens, {least} is the least"
    if not text.strip():
        return f"it gave {tokens} tokens and no text"
    if text.count("\ufffd") * 4 > len(text):
        return f"its text is no text: {text[:60]!r}"
    return None


def tokenizer(seen: Dict[str, Any], fingerprint: str) -> Optional[str]:
    """`seen`: `text`, what became of it (`back`), `largest` id, `size`, `rows` or None, `fingerprint`."""
    if fingerprint and seen["fingerprint"] != fingerprint:
        return (
            f"its tokenizer is not the one of this model: its fingerprint is {seen['fingerprint'][:12]}…,"
            f" the profile's is {fingerprint[:12]}…"
        )
    if seen["rows"] is not None and seen["largest"] >= seen["rows"]:
        return (
            f"its tokenizer is another model's: it gives the token {seen['largest']},"
            f" the model has {seen['rows']}"
        )
    if _plain(seen["back"]) != _plain(seen["text"]):
        at = next(
            (i for i, (a, b) in enumerate(zip(_plain(seen["text"]), _plain(seen["back"]))) if a != b), 0
        )
        return (
            f"its tokenizer does not give back the text it was given: {_plain(seen['text'])[at : at + 20]!r}"
            f" became {_plain(seen['back'])[at : at + 20]!r}"
        )
    return None


def loaded(missing: Sequence[str], mismatched: Sequence[str], unexpected: Sequence[str]) -> Optional[str]:
    """What the weights lack, or have and nobody used: names of tensors, as transformers reports them.

    Of unused ones only those of whole layers are an error: checkpoints carry buffers and heads of training.
    """
    layers: List[str] = [name for name in unexpected if ".layers." in name]
    for names, what in (
        (missing, "are missing in the weights and would be noise"),
        (mismatched, "have another shape than the configuration says"),
        (layers, "are in the weights and the configuration has no place for them"),
    ):
        if names:
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            return f"its configuration does not fit its weights: {sorted(names)[0]}{more} {what}"
    return None


def _plain(text: str) -> str:
    """What round trips may change: compatibility forms, and how much white space there is."""
    return " ".join(unicodedata.normalize("NFKC", text).split())


def shown(value: float) -> str:
    """A perplexity for a person: 8.8, 423, 8.3e+14."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}" if value < 1e6 else f"{value:.1e}"
