"""A search over a few variables with some dozens of values each, asked many times with fewer or more rules.

Values, and the facts that rules rest on, are bits of numbers, so that a set of them is one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Rule:
    """A constraint over numbered variables; `rows` remembers what it allows of the last open one, and
    `pairs` what it allows of the other of two variables.
    """

    facts: int
    over: tuple[int, ...]
    allows: Callable[..., bool]
    rows: dict[tuple[int, ...], int] = field(default_factory=dict)
    pairs: dict[tuple[int, int | None], int] = field(default_factory=dict)


class Search:
    """Values of variables under rules. A rule holds where all of its facts do."""

    def __init__(self, domains: Sequence[Sequence[Any]], rules: Sequence[Rule]) -> None:
        self.domains = domains
        self.rules = rules
        self.whole = tuple((1 << len(values)) - 1 for values in domains)
        self._known: dict[tuple[int, tuple[int, ...]], bool] = {}

    def possible(self, facts: int, start: tuple[int, ...]) -> bool:
        """Whether there is a choice among the values of `start`, a set of values a variable."""
        key = (facts, start)
        if key not in self._known:
            self._known[key] = self._look(facts, start)
        return self._known[key]

    def first(self, facts: int, start: tuple[int, ...]) -> tuple[int, ...]:
        """The first choice, variables and values in their order: the number of a value a variable."""
        masks = list(start)
        for variable, values in enumerate(masks):
            for number in _numbers(values):
                masks[variable] = 1 << number
                if self.possible(facts, tuple(masks)):
                    break
        return tuple(mask.bit_length() - 1 for mask in masks)

    def excludes(self, rule: Rule) -> bool:
        """Whether a rule over one variable, or none, excludes anything; True where that is not looked up."""
        if len(rule.over) != 1:
            return True
        variable = rule.over[0]
        return self._row(rule, variable, [None] * len(self.domains)) != self.whole[variable]

    def _look(self, facts: int, start: tuple[int, ...]) -> bool:
        masks = list(start)
        chosen: list[int | None] = [None] * len(masks)
        touching: list[list[Rule]] = [[] for _ in masks]
        for rule in self.rules:
            if rule.facts & ~facts:
                continue
            if not rule.over:
                if not rule.allows():
                    return False
            elif len(rule.over) == 1:
                masks[rule.over[0]] &= self._row(rule, rule.over[0], chosen)
            else:
                for variable in rule.over:
                    touching[variable].append(rule)
        return all(masks) and self._search(masks, chosen, touching)

    def _search(self, masks: list[int], chosen: list[int | None], touching: list[list[Rule]]) -> bool:
        """Whether the rest can be chosen; the variable with the fewest values left first."""
        unchosen = [number for number, value in enumerate(chosen) if value is None and touching[number]]
        if not unchosen:
            return True
        variable = min(unchosen, key=lambda number: masks[number].bit_count())
        for value in _numbers(masks[variable]):
            chosen[variable] = value
            narrowed = self._narrow(masks, chosen, variable, touching[variable])
            if narrowed is not None and self._search(narrowed, chosen, touching):
                return True
        chosen[variable] = None
        return False

    def _narrow(
        self, masks: list[int], chosen: list[int | None], variable: int, rules: list[Rule]
    ) -> list[int] | None:
        """What is left of the values once each rule over the variable that was chosen last, and one open
        variable, has spoken; None: nothing.
        """
        left = list(masks)
        for rule in rules:
            if len(rule.over) == 2:
                last = rule.over[1] if rule.over[0] == variable else rule.over[0]
                if chosen[last] is not None:
                    continue
                row = rule.pairs.get((variable, chosen[variable]))
                if row is None:
                    row = rule.pairs[variable, chosen[variable]] = self._row(rule, last, chosen)
            else:
                unchosen = [one for one in rule.over if chosen[one] is None]
                if len(unchosen) != 1:
                    continue
                last = unchosen[0]
                row = self._row(rule, last, chosen)
            left[last] &= row
            if not left[last]:
                return None
        return left

    def _row(self, rule: Rule, last: int, chosen: list[int | None]) -> int:
        """The values of the last variable that a rule allows beside the chosen ones."""
        key = (last, *(-1 if variable == last else _number(chosen[variable]) for variable in rule.over))
        row = rule.rows.get(key)
        if row is None:
            values = [
                None if variable == last else self.domains[variable][_number(chosen[variable])]
                for variable in rule.over
            ]
            spot, row = rule.over.index(last), 0
            for number, value in enumerate(self.domains[last]):
                values[spot] = value
                if rule.allows(*values):
                    row |= 1 << number
            rule.rows[key] = row
        return row


def _number(chosen: int | None) -> int:
    assert chosen is not None, "asked before all but one are chosen"
    return chosen


def _numbers(mask: int) -> Iterator[int]:
    """The places of the bits that are set, the lowest first."""
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
