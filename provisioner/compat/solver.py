"""Choosing values for variables under constraints, and saying why there is no choice.

Reasons come first here: each constraint names the facts it rests on, and a conflict is told as the smallest
sets of facts that contradict each other. resolvelib's causes are not minimal, and z3, clingo or python-sat
give cores of clauses that would have to be translated back, for tens of megabytes; a search over a few
variables with some dozens of values each is shorter than that translation.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from provisioner.compat.search import Rule, Search
from provisioner.sourced import Confidence

Kind = Literal["box", "data", "request"]
_ORDER: Mapping[Kind, int] = {"box": 0, "data": 1, "request": 2}
# How many ways out are looked for, and how many sets of facts are tried for them.
_REMEDIES = 6
_TRIES = 48


@dataclass(frozen=True)
class Fact:
    """One sentence the plan rests on: seen on the machine (box), known (data), or asked for (request).

    `id` is stable and names the fact; `change` is what a person could change so that it holds no more, and
    `subject` what is changed: facts of the same subject change together.
    """

    id: str
    text: str
    kind: Kind
    source: str = ""
    confidence: Confidence | None = None
    change: str = ""
    subject: str = ""


def always(*_values: Any) -> bool:
    """Allows everything: for a constraint that only says what a value rests on."""
    return True


@dataclass(frozen=True)
class Constraint:
    """`allows` of the values of the variables `over`; without any one of its facts it says nothing, nor where
    `given` does not hold of the value of the first of them.

    `about` tells whether it speaks of the values that were chosen: then its facts are among those used.
    """

    facts: tuple[Fact, ...]
    over: tuple[str, ...]
    allows: Callable[..., bool]
    about: Callable[..., bool] = always
    given: Callable[[Any], bool] = always

    def permits(self, *values: Any) -> bool:
        """Whether it allows values of its variables, all of its facts holding."""
        return bool(values and not self.given(values[0])) or self.allows(*values)


@dataclass(frozen=True)
class Solution:
    """The first choice in the order of variables and values, and the facts that speak of it."""

    values: Mapping[str, Any]
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Remedy:
    """What, changed together, makes it possible, and the first choice there is then.

    `facts` has one fact of each subject: the one whose change says the most.
    """

    facts: tuple[Fact, ...]
    values: Mapping[str, Any]

    def __str__(self) -> str:
        return ", and ".join(dict.fromkeys(fact.change for fact in self.facts))


def in_words(chain: Iterable[Fact]) -> str:
    """A chain of facts, read from the first to the last."""
    return " → ".join(fact.text for fact in chain)


@dataclass(frozen=True)
class Conflict:
    """Why there is no choice.

    `chains` are disjoint, the shortest first, and each is minimal: its facts alone contradict each other, and
    without any one of them they do not. `remedies` are ways out, the smallest first, each checked by solving.
    """

    chains: tuple[tuple[Fact, ...], ...]
    remedies: tuple[Remedy, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """What a person could do, one sentence a way out."""
        return tuple(str(remedy) for remedy in self.remedies)

    @property
    def shortest(self) -> tuple[Remedy, ...]:
        """The ways out with the fewest changes."""
        least = min((len(remedy.facts) for remedy in self.remedies), default=0)
        return tuple(remedy for remedy in self.remedies if len(remedy.facts) == least)

    def __str__(self) -> str:
        return "; ".join(map(in_words, self.chains))


def solve(domains: Mapping[str, Sequence[Any]], constraints: Iterable[Constraint]) -> Solution | Conflict:
    """The first solution, variables in order of importance and values in order of preference; or why none.

    Raises ValueError where nothing is possible even without a single fact.
    """
    return Problem(domains, constraints).solve()


class Problem:
    """Variables with their values, and constraints; asked several times, it remembers what it found.

    A set of facts, and a set of the values of a variable, is a number with a bit for each.
    """

    def __init__(self, domains: Mapping[str, Sequence[Any]], constraints: Iterable[Constraint]) -> None:
        self._names = tuple(domains)
        self._domains = tuple(tuple(domains[name]) for name in self._names)
        self._constraints = tuple(constraints)
        self._facts: dict[str, Fact] = {}
        for constraint in self._constraints:
            for fact in constraint.facts:
                if self._facts.setdefault(fact.id, fact) != fact:
                    raise ValueError(f"two facts are called {fact.id}")
        self._bits = {name: 1 << number for number, name in enumerate(self._facts)}
        place = {name: number for number, name in enumerate(self._names)}
        rules = tuple(
            Rule(self._set(one.facts), tuple(place[name] for name in one.over), one.allows, one.given)
            for one in self._constraints
            if one.allows is not always
        )
        self._search = Search(self._domains, rules)
        if not self._search.possible(0, self._search.whole):
            raise ValueError("nothing is possible, whatever the facts")

    def solve(self) -> Solution | Conflict:
        """The first solution, or why there is none."""
        everything = self._set(self._facts.values())
        if self._search.possible(everything, self._search.whole):
            chosen = self._first(everything, self._search.whole)
            return Solution(chosen, tuple(self._used(chosen)))
        chains = []
        pool = everything
        while not self._search.possible(pool, self._search.whole):
            core = self._core(pool, self._search.whole)
            chains.append(core)
            pool &= ~core
        return Conflict(
            tuple(self._told(chain) for chain in chains), tuple(self._remedies(everything, chains))
        )

    def contradict(self, facts: Iterable[Fact]) -> bool:
        """Whether some facts alone leave nothing possible."""
        return not self._search.possible(self._set(facts), self._search.whole)

    def why_not(self, wanted: Mapping[str, Callable[[Any], bool]]) -> tuple[Fact, ...] | None:
        """The fewest facts that forbid such values of some variables; None where they are possible.

        An empty set: no value of a variable is such.
        """
        start = self._only(wanted)
        everything = self._set(self._facts.values())
        if self._search.possible(everything, start):
            return None
        return () if not self._search.possible(0, start) else self._told(self._core(everything, start))

    def without(
        self, dropped: Iterable[Fact], wanted: Mapping[str, Callable[[Any], bool]] | None = None
    ) -> Mapping[str, Any] | None:
        """The first choice if the subjects of some facts were changed, among the wanted values; None where
        there is none.
        """
        pool, start = self._set(self._facts.values()) & ~self._subjects(dropped), self._only(wanted or {})
        return self._first(pool, start) if self._search.possible(pool, start) else None

    # --- facts ------------------------------------------------------------------------------------------

    def _set(self, facts: Iterable[Fact]) -> int:
        together = 0
        for fact in facts:
            together |= self._bits[fact.id]
        return together

    def _subjects(self, facts: Iterable[Fact]) -> int:
        """All facts that change together with some."""
        subjects = {fact.subject or fact.id for fact in facts}
        return self._set(fact for fact in self._facts.values() if (fact.subject or fact.id) in subjects)

    def _told(self, facts: int) -> tuple[Fact, ...]:
        """In the order of a derivation: what was seen, what is known, what was asked for."""
        members = [fact for name, fact in self._facts.items() if self._bits[name] & facts]
        return tuple(sorted(members, key=lambda fact: _ORDER[fact.kind]))

    def _used(self, chosen: Mapping[str, Any]) -> Iterator[Fact]:
        told: set[str] = set()
        for constraint in self._constraints:
            if constraint.about(*(chosen[name] for name in constraint.over)):
                yield from (fact for fact in constraint.facts if fact.id not in told)
                told.update(fact.id for fact in constraint.facts)

    # --- reasons ----------------------------------------------------------------------------------------

    def _core(self, pool: int, start: tuple[int, ...]) -> int:
        """A smallest set of facts that leaves nothing possible.

        It must hit every set of facts whose absence makes it possible: smallest sets that hit those known so
        far are tried until one is impossible (Ignatiev and others 2015, smallest MUS extraction). Any minimal
        set bounds the search, and is the answer where that would take too long.
        """
        groups = self._groups(pool)

        def impossible(facts: int) -> bool:
            return not self._search.possible(facts, start)

        best = sum(_minimal(impossible, groups))
        escapes: list[list[int]] = []
        for _ in range(_TRIES):
            hitting = _smallest_hitting(escapes, best.bit_count())
            if hitting is None:
                return best
            if impossible(hitting):
                return hitting
            kept = hitting
            for group in groups:
                if not group & kept and not impossible(kept | group):
                    kept |= group
            escapes.append([group for group in groups if not group & kept])
        return best

    def _groups(self, pool: int) -> list[int]:
        """The facts that can be in the way; those that stand in the same rules are there together or not."""
        rules = [
            rule for rule in self._search.rules if rule.facts & ~pool == 0 and self._search.excludes(rule)
        ]
        groups: dict[tuple[int, ...], int] = {}
        for bit in self._bits.values():
            standing = tuple(number for number, rule in enumerate(rules) if rule.facts & bit)
            if standing:
                groups[standing] = groups.get(standing, 0) | bit
        return list(groups.values())

    def _remedies(self, everything: int, chains: list[int]) -> Iterator[Remedy]:
        """Sets of changeable facts, one of every contradiction: Reiter's tree of hitting sets, by breadth."""
        cores, tried, found = list(chains), {0}, list[int]()
        queue = deque([0])
        changeable = {fact.subject or fact.id for fact in self._facts.values() if fact.change}
        while queue and len(found) < _REMEDIES and len(tried) < _TRIES:
            dropped = queue.popleft()
            if any(one & dropped == one for one in found):
                continue
            if self._search.possible(everything & ~dropped, self._search.whole):
                found.append(dropped)
                pool = everything & ~dropped
                yield Remedy(self._most_telling(dropped, cores), self._first(pool, self._search.whole))
                continue
            core = next((one for one in cores if not one & dropped), None)
            if core is None:
                core = self._core(everything & ~dropped, self._search.whole)
                cores.append(core)
            # What was asked for is changed more easily than a machine.
            for fact in reversed(self._told(core)):
                more = dropped | self._subjects([fact])
                if (fact.subject or fact.id) in changeable and more not in tried:
                    tried.add(more)
                    queue.append(more)

    def _most_telling(self, dropped: int, cores: list[int]) -> tuple[Fact, ...]:
        """A fact of each subject that is changed: one that is in the way, and of those the longest change."""
        concerned = 0
        for core in cores:
            concerned |= core
        best: dict[str, tuple[bool, int, Fact]] = {}
        for fact in self._told(dropped):
            subject = fact.subject or fact.id
            rank = (bool(self._bits[fact.id] & concerned), len(fact.change), fact)
            if fact.change and (subject not in best or rank[:2] > best[subject][:2]):
                best[subject] = rank
        return tuple(fact for _, _, fact in best.values())

    def _only(self, wanted: Mapping[str, Callable[[Any], bool]]) -> tuple[int, ...]:
        masks = list(self._search.whole)
        for name, fits in wanted.items():
            variable = self._names.index(name)
            values = self._domains[variable]
            masks[variable] = sum(1 << number for number, value in enumerate(values) if fits(value))
        return tuple(masks)

    def _first(self, facts: int, start: tuple[int, ...]) -> dict[str, Any]:
        numbers = self._search.first(facts, start)
        chosen = zip(self._names, self._domains, numbers, strict=True)
        return {name: values[number] for name, values, number in chosen}


def _minimal(impossible: Callable[[int], bool], members: list[int]) -> list[int]:
    """A subset that is impossible, and is not without any one member (Junker 2004, QuickXplain)."""

    def needed(background: int, added: bool, rest: list[int]) -> list[int]:
        if added and impossible(background):
            return []
        if len(rest) == 1:
            return rest
        half = len(rest) // 2
        first, second = rest[:half], rest[half:]
        late = needed(background | sum(first), True, second)
        early = needed(background | sum(late), bool(late), first)
        return early + late

    return needed(0, False, members) if members else []


def _smallest_hitting(sets: list[list[int]], bound: int) -> int | None:
    """Members with the fewest bits together, less than `bound`, of which each set has one; None: there are
    none.
    """
    best: int | None = None

    def extend(chosen: int, rest: list[list[int]]) -> None:
        nonlocal best, bound
        if chosen.bit_count() >= bound:
            return
        missed = [one for one in rest if not any(member & chosen for member in one)]
        if not missed:
            best, bound = chosen, chosen.bit_count()
            return
        for member in min(missed, key=len):
            extend(chosen | member, missed)

    extend(0, sets)
    return best
