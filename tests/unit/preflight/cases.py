"""How the tests of the rules say what a machine is, and what they want to hear of it.

    case(iommu={"tables": ("DMAR",), "units": ()}, gpus=2, purpose="multi-gpu")

What is not said is as nobody looked: `hidden`. A plain value stands for a reading of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, get_type_hints

from provisioner.audit import Audit, PciDevice, Reading
from provisioner.facts import SCHEMA, Facts, Gpu, OperatingSystem, Python, User
from provisioner.preflight.finding import Finding
from provisioner.preflight.judge import preflight
from provisioner.preflight.needs import GENERAL, Needs
from provisioner.preflight.purpose import Purpose, infer
from provisioner.preflight.rule import Case
from provisioner.preflight.rules import RULES

GIB = 1 << 30
SOURCE = "/emulated"


def read(value: Any, source: str = SOURCE, offset: int | None = None) -> Reading[Any]:
    """A value that is there."""
    return Reading("read", value, "", source, offset)


def absent(why: str = "it is not there") -> Reading[Any]:
    """Looked for, and not there."""
    return Reading("absent", None, why, SOURCE)


def hidden(why: str = "only root may read it") -> Reading[Any]:
    """Kept from the probe."""
    return Reading("hidden", None, why, SOURCE)


def elsewhere(why: str = "not seen from inside a container") -> Reading[Any]:
    """Not applicable to a machine of this kind."""
    return Reading("not_applicable", None, why, "")


def broken(why: str = "it makes no sense") -> Reading[Any]:
    """There, and senseless."""
    return Reading("error", None, why, SOURCE)


def reading(value: Any) -> Reading[Any]:
    """A reading as it is; anything else as read."""
    return value if isinstance(value, Reading) else read(value)


def device(address: str = "0000:01:00.0", **said: Any) -> PciDevice:
    """A GPU in its slot, as the probe writes one; plain values become readings where the field is one."""
    hints = get_type_hints(PciDevice)
    plain = {"vendor": "0x10de", "device": "0x2684", "kind": "0x030000", **said}
    given: dict[str, Any] = {
        name: value if hints[name] in _PLAIN else reading(value) for name, value in plain.items()
    }
    return PciDevice(address, **given)


def audit(**sections: Mapping[str, Any] | Any) -> Audit:
    """An audit; a section is a mapping from its fields to readings or plain values. `volumes`: by path."""
    found = Audit()
    for name, said in {"sight": {"virtualization": "none"}, **sections}.items():
        if name == "volumes":
            found = replace(found, volumes={path: reading(volume) for path, volume in said.items()})
            continue
        section = getattr(found, name) or get_type_hints(Audit)[name].__args__[0]()
        readings = {key: reading(value) for key, value in said.items()}
        found = replace(found, **{name: replace(section, **readings)})
    return found


def every(section: Any, one: Reading[Any]) -> Any:
    """A section with all its readings the same."""
    return replace(section, **{item.name: one for item in fields(section)})


def contained(why: str = "not seen from inside a container: run this on the machine that runs it") -> Audit:
    """What the probe says in a container or in WSL: nothing of firmware and slots."""
    one, sections = elsewhere(why), audit()
    return replace(
        sections,
        firmware=every(sections.firmware, one),
        iommu=every(sections.iommu, one),
        slots=every(sections.slots, one),
    )


def case(
    *,
    purpose: Purpose | None = None,
    needs: Needs = GENERAL,
    gpus: int | Iterable[Gpu] = 0,
    os: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    whole: Audit | None = None,
    **sections: Any,
) -> Case:
    """A case. `gpus`: how many RTX 4090, or which; `os`, `facts`: what is other than on a plain Debian box;
    `whole`: an audit as it is, instead of sections.
    """
    if isinstance(gpus, int):
        gpus = [Gpu(f"0000:{bus:02x}:00.0", "0x10de", "0x2684") for bus in range(1, gpus + 1)]
    seen = whole if whole is not None else audit(**sections)
    made = Facts(
        schema=SCHEMA,
        hostname="box",
        os=replace(PLAIN, **(os or {})),
        python=Python("3.11.2", "/usr/bin/python3"),
        user=User("root", 0, "/root"),
        privilege="root",
        gpus=tuple(gpus),
        audit=seen,
    )
    made = replace(made, **(facts or {}))
    return Case(made, seen, needs, purpose or infer(made)[0])


PLAIN = OperatingSystem(
    id="debian", version_id="12", pretty="Debian 12", kernel="6.1.0-18-amd64", arch="x86_64", wsl=False
)
_PLAIN = (str, int, str | None)


@dataclass(frozen=True)
class Row:
    """`given` is what `case` takes; `want` is what `told` says of each finding of that one rule."""

    name: str
    rule: str
    given: Mapping[str, Any]
    want: tuple[str, ...] | str
    actor: str | None = field(default=None)

    def __str__(self) -> str:
        return f"{self.rule}-{self.name}".replace(" ", "-")


def ask(identity: str, asked: Case) -> tuple[Finding, ...]:
    """The findings of one rule."""
    rules = [rule for rule in RULES if rule.id == identity]
    assert len(rules) == 1, identity
    return preflight(asked.facts, asked.needs, asked.purpose, rules=rules).findings


def told(finding: Finding) -> str:
    """A finding in one line: how bad and how sure it is, what of, and its sentence."""
    words: list[str] = [finding.status]
    if finding.severity != "none":
        words.append(finding.severity)
    if finding.confidence != "confirmed":
        words.append(finding.confidence)
    if finding.subject:
        words.append(finding.subject)
    return f"{' '.join(words)}: {finding.summary}"


def check(row: Row) -> None:
    """A row holds: the findings are those it wants, whole and in order."""
    found = ask(row.rule, case(**row.given))
    wanted = (row.want,) if isinstance(row.want, str) else row.want
    assert tuple(map(told, found)) == wanted
    if row.actor is not None:
        assert [one.remedy.actor if one.remedy else "nobody" for one in found] == [row.actor] * len(found)


@dataclass(frozen=True)
class Detail:
    """What one finding (the worst) says beside its sentence: all its evidence, and words of its limits and
    steps.
    """

    rule: str
    given: Mapping[str, Any]
    observed: str
    evidence: tuple[str, ...]
    limits: str = ""
    step: str = ""

    def __str__(self) -> str:
        return f"{self.rule}-{self.observed}".replace(" ", "-")[:60]


def check_detail(detail: Detail) -> None:
    """A detail holds; what it does not name is not there."""
    found = ask(detail.rule, case(**detail.given))[0]
    assert found.observed == detail.observed
    assert tuple(one.value for one in found.evidence) == detail.evidence
    assert detail.limits in found.limits
    assert bool(detail.limits) == bool(found.limits)
    steps = " ".join(found.remedy.steps) if found.remedy else ""
    assert detail.step in steps
    assert bool(detail.step) == bool(steps)
