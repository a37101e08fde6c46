"""The solver against brute force over small random problems, and the words of its answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, combinations, product

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from provisioner.compat.solver import Conflict, Constraint, Fact, Problem, Solution, always, solve

Domains = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Table:
    """Allows just these rows of values."""

    rows: frozenset[tuple[int, ...]]

    def __call__(self, *values: int) -> bool:
        return values in self.rows


@dataclass(frozen=True)
class Among:
    """Holds of just these values."""

    values: frozenset[int]

    def __call__(self, value: int) -> bool:
        return value in self.values


@st.composite
def problems(draw: st.DrawFn) -> tuple[Domains, list[Constraint]]:
    """Up to four variables of up to three values, six facts, seven constraints of up to three variables."""
    domains = {f"v{n}": tuple(range(draw(st.integers(1, 3)))) for n in range(draw(st.integers(1, 4)))}
    facts = [
        Fact(
            f"f{n}",
            f"f{n}",
            draw(st.sampled_from(("box", "data", "request"))),
            change=draw(st.sampled_from(("", f"no f{n}"))),
            subject=draw(st.sampled_from(("", "", "s"))),
        )
        for n in range(6)
    ]
    constraints = []
    for _ in range(draw(st.integers(0, 7))):
        over = tuple(draw(st.lists(st.sampled_from(sorted(domains)), unique=True, max_size=3)))
        every = list(product(*(domains[name] for name in over)))
        rows = frozenset(draw(st.lists(st.sampled_from(every), unique=True)))
        premises = tuple(draw(st.lists(st.sampled_from(facts), unique=True, min_size=1, max_size=3)))
        given: Callable[[int], bool] = always
        if draw(st.booleans()):
            given = Among(frozenset(draw(st.sets(st.integers(0, 2)))))
        constraints.append(Constraint(premises, over, Table(rows), given=given))
    return domains, constraints


def solutions(
    domains: Domains, constraints: Iterable[Constraint], dropped: Iterable[Fact] = ()
) -> list[dict[str, int]]:
    """Every solution, the first one first, once some facts do not hold."""
    gone = {fact.id for fact in dropped}
    active = [one for one in constraints if not gone & {fact.id for fact in one.facts}]
    found = []
    for row in product(*domains.values()):
        values = dict(zip(domains, row, strict=True))
        if all(one.permits(*(values[name] for name in one.over)) for one in active):
            found.append(values)
    return found


def subject(fact: Fact) -> str:
    return fact.subject or fact.id


def together(constraints: Iterable[Constraint], subjects: Iterable[str]) -> set[Fact]:
    """All facts of some subjects."""
    wanted = set(subjects)
    return {fact for fact in every_fact(constraints) if subject(fact) in wanted}


def every_fact(constraints: Iterable[Constraint]) -> set[Fact]:
    return set(chain.from_iterable(one.facts for one in constraints))


@given(problems())
@settings(max_examples=120, deadline=None)
def test_the_first_solution_or_true_and_minimal_disjoint_chains(
    problem: tuple[Domains, list[Constraint]],
) -> None:
    domains, constraints = problem
    answer, possible = solve(domains, constraints), solutions(domains, constraints)
    if possible:
        assert isinstance(answer, Solution)
        assert answer.values == possible[0]
        assert set(answer.facts) == every_fact(constraints)
        return
    assert isinstance(answer, Conflict)
    known = every_fact(constraints)
    for one in answer.chains:
        others = known - set(one)
        assert not solutions(domains, constraints, others), "its facts alone contradict each other"
        for fact in one:
            assert solutions(domains, constraints, others | {fact}), f"not without {fact.id}"
        assert [fact.kind for fact in one] == sorted(
            (fact.kind for fact in one), key=["box", "data", "request"].index
        )
    smaller = combinations(known, len(answer.chains[0]) - 1)
    assert all(solutions(domains, constraints, known - set(some)) for some in smaller), "the shortest first"
    links = list(chain.from_iterable(answer.chains))
    assert len(links) == len(set(links)), "disjoint"
    assert solutions(domains, constraints, links), "without all of them it is possible"


@given(problems())
@settings(max_examples=80, deadline=None)
def test_the_ways_out_are_all_the_smallest_ones(problem: tuple[Domains, list[Constraint]]) -> None:
    domains, constraints = problem
    answer = solve(domains, constraints)
    assume(isinstance(answer, Conflict))
    assert isinstance(answer, Conflict)
    changeable = sorted({subject(fact) for fact in every_fact(constraints) if fact.change})
    sets = [set(some) for size in range(1, 7) for some in combinations(changeable, size)]
    working = [some for some in sets if solutions(domains, constraints, together(constraints, some))]
    minimal = [some for some in working if not any(less < some for less in working)]
    found = [{subject(fact) for fact in remedy.facts} for remedy in answer.remedies]
    assert all(some in minimal for some in found)
    assert len(found) == min(len(minimal), 6)
    assert [len(some) for some in found] == sorted(len(some) for some in found)
    for remedy, some in zip(answer.remedies, found, strict=True):
        assert remedy.values == solutions(domains, constraints, together(constraints, some))[0]
        assert all(fact.change for fact in remedy.facts)


@given(problems(), st.data())
@settings(max_examples=80, deadline=None)
def test_why_a_value_was_not_chosen(problem: tuple[Domains, list[Constraint]], data: st.DataObject) -> None:
    domains, constraints = problem
    name = data.draw(st.sampled_from(sorted(domains)))
    value = data.draw(st.sampled_from(domains[name]))
    fixed = {**domains, name: (value,)}
    why = Problem(domains, constraints).why_not({name: lambda one: one == value})
    if solutions(fixed, constraints):
        assert why is None
        return
    assert why is not None
    others = every_fact(constraints) - set(why)
    assert not solutions(fixed, constraints, others)
    assert all(solutions(fixed, constraints, others | {fact}) for fact in why)


@given(problems(), st.data())
@settings(max_examples=60, deadline=None)
def test_the_first_choice_without_some_facts(
    problem: tuple[Domains, list[Constraint]], data: st.DataObject
) -> None:
    domains, constraints = problem
    known = sorted(every_fact(constraints), key=lambda fact: fact.id)
    dropped = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    possible = solutions(domains, constraints, together(constraints, map(subject, dropped)))
    assert Problem(domains, constraints).without(dropped) == (possible[0] if possible else None)


CARD = Fact("gpu", "RTX 5090 here", "box", change="another GPU")
ARCH = Fact("arch", "RTX 5090 is sm_120 (Blackwell)", "data", "NVIDIA", "doc")
FIRST = Fact("first", "sm_120 needs CUDA 12.8 or newer", "data", "NVIDIA", "ran")
ASKED = Fact("request.cuda", "--cuda 12.4", "request", change="say --cuda 12.8")
CUDA = {"toolkit": ("12.4", "12.8", "none")}


def new_enough(cuda: str) -> bool:
    return cuda != "12.4"


def blackwell(allows: Callable[[str], bool] = new_enough) -> list[Constraint]:
    """A GPU that only newer toolkits know, and an older one asked for; told from its end."""
    return [
        Constraint((ASKED,), ("toolkit",), lambda cuda: cuda == "12.4"),
        Constraint((ARCH, FIRST, CARD), ("toolkit",), allows),
    ]


def test_a_chain_reads_from_the_box_over_what_is_known_to_what_was_asked_for() -> None:
    answer = solve(CUDA, blackwell())
    assert isinstance(answer, Conflict)
    assert str(answer) == (
        "RTX 5090 here → RTX 5090 is sm_120 (Blackwell) → sm_120 needs CUDA 12.8 or newer → --cuda 12.4"
    )
    assert answer.changes == ("say --cuda 12.8", "another GPU")
    assert [remedy.values for remedy in answer.remedies] == [{"toolkit": "12.8"}, {"toolkit": "12.4"}]


def test_two_independent_reasons_are_two_chains_and_every_way_out_changes_both() -> None:
    small = Fact("memory", "4 GB of memory", "box", change="more memory")
    needs = Fact("needs", "it needs 8 GB", "request", change="a smaller model")
    answer = solve(CUDA, [*blackwell(), Constraint((small, needs), (), lambda: False)])
    assert isinstance(answer, Conflict)
    assert [{fact.id for fact in one} for one in answer.chains] == [
        {"memory", "needs"},
        {"gpu", "arch", "first", "request.cuda"},
    ]
    assert answer.changes == (
        "say --cuda 12.8, and a smaller model", "another GPU, and a smaller model",
        "more memory, and say --cuda 12.8", "another GPU, and more memory",
    )  # fmt: skip


def test_only_constraints_about_the_choice_are_among_the_facts_used() -> None:
    other = replace(FIRST, id="other", text="CUDA 12.4 is old")
    constraints = [
        *blackwell()[1:],
        Constraint((other,), ("toolkit",), lambda _: True, about=lambda cuda: cuda == "12.4"),
    ]
    answer = solve(CUDA, constraints)
    assert isinstance(answer, Solution)
    assert (answer.values, answer.facts) == ({"toolkit": "12.8"}, (ARCH, FIRST, CARD))


def test_nothing_without_facts_to_blame_is_an_error() -> None:
    with pytest.raises(ValueError, match="nothing is possible"):
        solve({"x": ()}, [])
    with pytest.raises(ValueError, match="two facts are called gpu"):
        solve(CUDA, [Constraint((CARD, replace(CARD, text="other")), (), lambda: True)])


def test_a_search_that_could_try_millions_of_combinations_is_quick() -> None:
    """The conflict is between the last variables; what was chosen first has nothing to do with it."""
    domains = {f"v{number}": tuple(range(20)) for number in range(8)}
    looked = 0

    def differ(one: int, two: int) -> bool:
        nonlocal looked
        looked += 1
        return one != two

    pairs = zip(list(domains), list(domains)[1:], strict=False)
    constraints = [
        Constraint((Fact(f"d{number}", "", "data"),), pair, differ) for number, pair in enumerate(pairs)
    ]
    ends = [
        Constraint((Fact("six", "", "box"),), ("v6",), lambda value: value == 3),
        Constraint((Fact("seven", "", "box"),), ("v7",), lambda value: value == 3),
    ]
    answer = solve(domains, [*constraints, *ends])
    assert isinstance(answer, Conflict)
    assert [[fact.id for fact in one] for one in answer.chains] == [["six", "seven", "d6"]]
    assert looked < 20 * 20 * 2 * len(constraints)


def test_facts_used_are_told_once() -> None:
    facts = (CARD, ARCH)
    answer = solve(CUDA, [Constraint(facts, ("toolkit",), new_enough), Constraint(facts, (), lambda: True)])
    assert isinstance(answer, Solution)
    assert answer.facts == facts
