"""Writes what `provision plan` says of the boxes in tests/data/plans/cases.yml: one document a case.

`--write` renews the documents, which somebody then reads against what is known before they are kept: a wrong
answer that is recorded is worse than none. `--show` prints them as the verb does. Without either, those that
differ are named.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from provisioner import profiles
from provisioner.compat.described import described
from provisioner.compat.outline import Outline, of_model, of_profile
from provisioner.compat.plan import terms_of
from provisioner.compat.request import Settings
from provisioner.compat.wanted import CUDA
from provisioner.compat.ways import Wish
from provisioner.facts import Facts
from provisioner.report.plan import PlannedHost, plan_json
from provisioner.report.plan_words import text
from provisioner.sizing import catalogue
from provisioner.sizing.model import Load
from provisioner.yamlfile import load_yaml
from scripts import kept

DATA = Path(__file__).resolve().parents[1] / "tests/data"
FOLDER = DATA / "plans"


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A box and what is asked of it. `box` are the options that describe it, `recorded` a recorded machine;
    `also` is laid over its facts where no option says it; `variables` are those of roles that a plan goes by;
    `shows` is what the answer must show.
    """

    name: str
    shows: str
    model: str
    box: dict[str, Any] = msgspec.field(default_factory=dict)
    recorded: str = ""
    also: dict[str, Any] = msgspec.field(default_factory=dict)
    profile: str | None = None
    runtime: str | None = None
    quantization: str | None = None
    context: int = 4096
    batch: int = 1
    images: int = 0
    cuda: str | None = None
    require_gpu: bool = False
    upgrade: bool = False
    variables: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where its document is."""
        return FOLDER / f"{self.name}.json"


@dataclass(frozen=True)
class Answer:
    """The plan of one case."""

    host: PlannedHost

    @property
    def document(self) -> dict[str, Any]:
        """What the verb prints with --json."""
        plain: dict[str, Any] = json.loads(json.dumps(plan_json([self.host])))
        return plain


@cache
def cases() -> tuple[Case, ...]:
    """Every case. Raises msgspec.ValidationError for an entry that is none."""
    return msgspec.convert(load_yaml((FOLDER / "cases.yml").read_text("utf-8")), tuple[Case, ...])


def facts_of(case: Case) -> Facts:
    """The box of a case."""
    if case.recorded:
        path = DATA / "recorded-hosts" / f"{case.recorded}.facts.json"
        plain = json.loads(path.read_text(encoding="utf-8"))
    else:
        plain = described(**case.box, require_gpu=case.require_gpu).to_json()
    return Facts.decode(_laid_over(plain, case.also))


def answer(case: Case) -> Answer:
    """What the plan says of it."""
    return Answer(PlannedHost(case.name, _outline(case)))


def _outline(case: Case) -> Outline:
    facts, load = facts_of(case), Load(case.context, case.batch, case.images)
    wish = Wish(case.runtime, case.quantization, load)
    cuda = {CUDA: case.cuda} if case.cuda else {}
    terms = terms_of(
        Settings(variables={**cuda, **case.variables}, require_gpu=case.require_gpu, upgrade=case.upgrade)
    )
    if case.model in profiles.names():
        return of_profile(facts, profiles.load(case.model), wish, terms)
    base = profiles.load(case.profile) if case.profile else None
    shape = catalogue.shape(case.model)
    return of_model(facts, shape.name, shape, wish, terms, base)


def _laid_over(under: Any, over: Any) -> Any:
    """Mappings are merged; what stands in a list's or a value's place replaces it."""
    if not isinstance(under, Mapping) or not isinstance(over, Mapping):
        return over
    return {**under, **{key: _laid_over(under.get(key), value) for key, value in over.items()}}


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 1 when documents differ and are not written."""
    parser = argparse.ArgumentParser(prog="python -m scripts.plan_cases", description=__doc__)

    def show(case: Case) -> str:
        return "\n".join([f"== {case.name}: {case.shows}", *text(answer(case).host, why=False)])

    return kept.run(argv, parser, cases(), lambda case: answer(case).document, show)


if __name__ == "__main__":
    sys.exit(main())
