"""Who may import what (docs/architecture.md draws the same table)."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.unit.habits.tree import ROOT, Import, imports, modules, within

NETWORK = (
    "socket",
    "ssl",
    "http",
    "urllib.request",
    "urllib3",
    "requests",
    "httpx",
    "ftplib",
    "huggingface_hub",
)
PROCESSES = (
    "subprocess", "pty", "os.system", "os.popen", "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell", "ansible.module_utils.common.process",
)  # fmt: skip


@dataclass(frozen=True)
class Rule:
    """Below `rooms`, except in `except_rooms`, nothing in `forbidden` is imported."""

    name: str
    rooms: tuple[str, ...]
    forbidden: tuple[str, ...]
    except_rooms: tuple[str, ...] = ()


PURE = (
    "provisioner/audit.py", "provisioner/facts.py", "provisioner/drift", "provisioner/compat",
    "provisioner/preflight", "provisioner/profiles", "provisioner/sizing",
)  # fmt: skip

RULES = (
    Rule("click lives in cli", ("provisioner",), ("click",), ("provisioner/cli",)),
    Rule(
        "processes are started by hosts, and on the box by target",
        ("provisioner",), PROCESSES, ("provisioner/hosts", "provisioner/target"),
    ),
    Rule("the pure rooms know no Ansible and no network", PURE, ("ansible", "ansible_runner", *NETWORK)),
    Rule("the pure rooms know no other room", PURE, (
        "provisioner.cli", "provisioner.hosts", "provisioner.engine", "provisioner.ansible",
        "provisioner.report", "provisioner.checkpoints", "provisioner.target",
    )),
    Rule("the sizes of models know nothing of machines", ("provisioner/sizing",), (
        "provisioner.compat", "provisioner.facts", "provisioner.drift", "provisioner.profiles",
    )),
    Rule(
        "Ansible is met in two rooms",
        ("provisioner",), ("ansible", "ansible_runner"), ("provisioner/ansible", "provisioner/engine"),
    ),
    Rule(
        "nothing imports the command line",
        ("provisioner",), ("provisioner.cli",), ("provisioner/cli", "provisioner/__main__.py"),
    ),
)  # fmt: skip


def violations(rule: Rule, files: list[Path]) -> list[str]:
    found: list[Import] = []
    for path in files:
        if not any((ROOT / room) in (path, *path.parents) for room in rule.except_rooms):
            found += [one for one in imports(path) if within(one.module, rule.forbidden)]
    return [str(one) for one in found]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_rooms_import_only_what_they_may(rule: Rule) -> None:
    files = modules(*rule.rooms)
    assert files, "the rule looks at no file"
    assert violations(rule, files) == []


# What the runtime half may import, inside functions, from the box's own environment.
ON_THE_BOX = ("huggingface_hub", "tomli", "tqdm", "xllamacpp", "llama_cpp", "torch", "transformers")


def test_code_on_the_box_imports_itself_and_the_standard_library() -> None:
    strangers = []
    for path in modules("provisioner/target"):
        allowed = ("provisioner.target", *sys.stdlib_module_names)
        if "runtime" in path.relative_to(ROOT).parts:
            allowed += ON_THE_BOX
        strangers += [str(one) for one in imports(path) if not within(one.module, allowed)]
    assert strangers == []


def test_code_on_the_box_is_python_3_8() -> None:
    """The grammar only: what it calls is met by the machines of the lab tier."""
    newer = []
    for path in modules("provisioner/target"):
        try:
            ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
        except SyntaxError as error:
            newer.append(f"{path.relative_to(ROOT)}:{error.lineno} {error.msg}")
    assert newer == []


def test_code_on_the_box_names_itself_relatively() -> None:
    """It runs under another package name there."""
    absolute = []
    for path in modules("provisioner/target"):
        for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if text.lstrip().startswith(("import provisioner", "from provisioner")):
                absolute.append(f"{path.relative_to(ROOT)}:{number}")
    assert absolute == []


def test_a_violation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.unit.habits.test_imports.ROOT", tmp_path)
    monkeypatch.setattr("tests.unit.habits.tree.ROOT", tmp_path)
    bad = tmp_path / "provisioner/drift/bad.py"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "from ..hosts import ssh\n\ndef late():\n    import ansible.errors\n    from urllib import request\n"
    )
    rules = [rule for rule in RULES if rule.name.startswith("the pure rooms")]
    assert [line for rule in rules for line in violations(rule, [bad])] == [
        "provisioner/drift/bad.py:4 imports ansible.errors",
        "provisioner/drift/bad.py:5 imports urllib.request",
        "provisioner/drift/bad.py:1 imports provisioner.hosts.ssh",
    ]
