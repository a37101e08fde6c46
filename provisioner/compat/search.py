"""A search over a few variables with some dozens of values each, asked many times with fewer or more rules.

Values, and the facts that rules rest on, are bits of numbers, so that a set of them is one number. What a
rule allows is looked up once and remembered as such a set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class Rule:
    """What is allowed of the numbered variables `over`, where all of some facts hold.

    Everything is, where `given` does not hold of the value of the first of them. `rows` remembers what is
    allowed of one variable beside values of the others.
    """

    facts: int
    over: tuple[int, ...]
    allows: Callable[..., bool]
    given: Callable[[Any], bool]
    rows: dict[tuple[int, ...], int] = field(default_factory=dict)


class Search:
    """Values of variables under rules."""

    def __init__(self, domains: Sequence[Sequence[Any]], rules: Sequence[Rule]) -> None:
        self.domains = domains
        self.rules = rules
        self.whole = tuple((1 << len(values)) - 1 for values in domains)
        self._known: dict[tuple[int, tuple[int, ...]], bool] = {}
        self._impossible = [rule.facts for rule in rules if not rule.over and not rule.allows()]
        self._single = [rule for rule in rules if len(rule.over) == 1 and self.excludes(rule)]
        self._pairs = [rule for rule in rules if len(rule.over) == 2]
        self._others = [rule for rule in rules if len(rule.over) > 2]
        # What a value leaves of other variables: (facts, variable, its values).
        self._beside: dict[tuple[int, int], list[tuple[int, int, int]]] = {}

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
        if any(not needed & ~facts for needed in self._impossible):
            return False
        masks = list(start)
        chosen: list[int | None] = [None] * len(masks)
        for rule in self._single:
            if not rule.facts & ~facts:
                masks[rule.over[0]] &= rule.rows[(rule.over[0], -1)]
        # A variable that no rule ties to another has any of its values.
        tied = {variable for rule in self._pairs if not rule.facts & ~facts for variable in rule.over}
        others = [rule for rule in self._others if not rule.facts & ~facts]
        tied.update(variable for rule in others for variable in rule.over)
        return all(masks) and self._search(facts, masks, chosen, sorted(tied), others)

    def _search(
        self, facts: int, masks: list[int], chosen: list[int | None], unchosen: list[int], others: list[Rule]
    ) -> bool:
        """Whether the rest can be chosen; the variable with the fewest values left first."""
        if not unchosen:
            return True
        variable = min(unchosen, key=lambda number: masks[number].bit_count())
        rest = [number for number in unchosen if number != variable]
        for value in _numbers(masks[variable]):
            chosen[variable] = value
            narrowed = self._narrow(facts, masks, chosen, variable, others)
            if narrowed is not None and self._search(facts, narrowed, chosen, rest, others):
                return True
        chosen[variable] = None
        return False

    def _narrow(
        self, facts: int, masks: list[int], chosen: list[int | None], variable: int, others: list[Rule]
    ) -> list[int] | None:
        """What is left of the values once each rule over the variable that was chosen last, and one open
        variable, has spoken; None: nothing.
        """
        left = list(masks)
        value = chosen[variable]
        assert value is not None, "it was chosen just now"
        for needed, last, row in self._left_beside(variable, value):
            if not needed & ~facts and chosen[last] is None:
                left[last] &= row
                if not left[last]:
                    return None
        for rule in others:
            unchosen = [one for one in rule.over if chosen[one] is None]
            if len(unchosen) == 1:
                left[unchosen[0]] &= self._row(rule, unchosen[0], chosen)
                if not left[unchosen[0]]:
                    return None
        return left

    def _left_beside(self, variable: int, value: int) -> list[tuple[int, int, int]]:
        """What the rules over two variables leave of the other one, but for those that leave everything."""
        found = self._beside.get((variable, value))
        if found is None:
            chosen: list[int | None] = [None] * len(self.domains)
            chosen[variable] = value
            found = self._beside[variable, value] = []
            for rule in self._pairs:
                if variable not in rule.over:
                    continue
                if rule.over[0] == variable and not rule.given(self.domains[variable][value]):
                    continue
                last = rule.over[1] if rule.over[0] == variable else rule.over[0]
                row = self._row(rule, last, chosen)
                if row != self.whole[last]:
                    found.append((rule.facts, last, row))
        return found

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
                if not rule.given(values[0]) or rule.allows(*values):
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
