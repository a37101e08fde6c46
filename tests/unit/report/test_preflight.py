"""What preflight shows, whole: on a terminal, as JSON, JUnit and SARIF; and how machines weigh."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from provisioner.errors import ExitCode
from provisioner.preflight.finding import Finding
from provisioner.report import fleet, page, preflight_words
from provisioner.report.junit import junit
from provisioner.report.preflight import PreflightHost, exit_code, preflight_json
from provisioner.report.siblings import siblings
from tests.unit.report import preflights
from tests.unit.report.preflights import ABOVE, BLANK, NONSENSE, NOUVEAU, RICH, SWAP, TPM, gone, host

MADE = preflights.outputs()


@pytest.mark.parametrize("name", MADE)
def test_an_output_is_as_it_was_read_and_approved(name: str) -> None:
    assert MADE[name] == (preflights.OUTPUTS / name).read_text(encoding="utf-8")


def test_no_output_lies_there_that_nobody_makes() -> None:
    assert sorted(path.name for path in preflights.OUTPUTS.iterdir()) == sorted(MADE)


@pytest.mark.parametrize(
    ("findings", "standing", "code", "strict"),
    [
        ((BLANK,), "ready", 0, 0),
        ((BLANK, TPM), "ready", 0, 0),
        ((BLANK, NONSENSE), "ready", 0, 0),
        ((BLANK, SWAP), "warned", 0, 3),
        ((BLANK, NOUVEAU), "warned", 0, 3),
        ((SWAP, ABOVE), "blocked", 3, 3),
        ((), "ready", 0, 0),
    ],
)
def test_how_a_machine_stands(findings: tuple[Finding, ...], standing: str, code: int, strict: int) -> None:
    assert (host("a", *findings).standing, host("a", *findings).exit_code) == (standing, code)
    assert host("a", *findings, strict=True).exit_code == strict


def test_strict_leaves_out_what_is_ignored() -> None:
    assert host("a", SWAP, strict=True, ignored=("memory.swap",)).exit_code == 0
    assert host("a", SWAP, NOUVEAU, strict=True, ignored=("memory.swap",)).exit_code == 3
    assert host("a", ABOVE, strict=True, ignored=("memory.swap",)).exit_code == 3


@pytest.mark.parametrize(
    ("hosts", "code"),
    [
        ([host("a", BLANK), host("b", ABOVE)], ExitCode.PREFLIGHT_BLOCKED),
        ([host("a", ABOVE), gone()], ExitCode.FAILED),
        ([host("a", SWAP), host("b", BLANK)], ExitCode.DONE),
    ],
)
def test_the_worst_machine_decides(hosts: list[PreflightHost], code: ExitCode) -> None:
    assert exit_code(hosts) is code
    assert preflight_json(hosts)["exit_code"] == code


# Words


def test_no_line_is_wider_than_asked_unless_a_word_is() -> None:
    for width in (40, 60, 100):
        lines = preflight_words.text(host("box", *RICH), width=width)
        # The machine, its purpose and its verdict are one line each.
        body = [
            line.plain for line in lines if line.plain.startswith(("  ", "blocking", "warning", "serious"))
        ]
        whole = ("`systemctl reboot --firmware-setup`",)
        assert [
            text for text in body[1:] if len(text) > width and not any(word in text for word in whole)
        ] == []


def test_a_command_stays_whole() -> None:
    text = "\n".join(line.plain for line in preflight_words.text(host("box", ABOVE), width=40))
    assert "`systemctl reboot --firmware-setup`" in text


def test_logins_and_what_steers_a_terminal_are_not_shown() -> None:
    evil = replace(
        SWAP, summary="http://me:secret@mirror/ \x1b[2Jgone\nthere", observed="ftp://me:secret@x", reason=""
    )
    shown = preflights._text(preflight_words.text(host("box", evil), everything=True))
    shown += preflights._text(fleet.text([host("a", evil), gone()]))
    shown += junit([host("a", evil)]) + json.dumps(preflight_json([host("a", evil)]))
    assert "secret" not in shown
    assert "\x1b" not in shown


def test_a_word_for_what_nobody_could_answer() -> None:
    last = [line.plain for line in preflight_words.text(host("box", BLANK, TPM))][-2:]
    assert last == [
        "ready: nothing that was seen stands in the way; 1 check could not be answered",
        "  next: provision up",
    ]


def test_what_blocks_without_a_remedy_names_its_page() -> None:
    assert preflight_words.next_step(host("a", replace(ABOVE, remedy=None))) == (
        "provision preflight --explain pci.above-4g"
    )


# Many machines


def test_of_many_machines_the_first_are_named() -> None:
    many = [host(f"box-{number}", SWAP) for number in range(12)]
    lines = [line.plain for line in fleet.text(many, width=60)]
    assert "memory.swap  warning on box-0, box-1, box-2, box-3, box-4," in lines
    assert "             box-5, box-6, box-7 and 4 more" in lines
    assert lines.count("warning   There is no swap.") == 1


def test_what_is_good_everywhere_has_no_row() -> None:
    assert fleet.matrix([host("a", BLANK), host("b", BLANK)]) == []
    rows = fleet.matrix([host("a", BLANK, SWAP), host("b", replace(BLANK, status="unknown"))])
    assert rows == [fleet.Row("memory.swap", ("warning", "")), fleet.Row("boot.mode", ("fine", "unknown"))]


def test_the_worst_of_several_subjects_is_shown() -> None:
    other = replace(ABOVE, subject="pci:0000:02:00.0", status="pass", severity="none")
    assert fleet.matrix([host("a", other, ABOVE)]) == [fleet.Row("pci.above-4g", ("blocking",))]


def test_siblings_have_the_same_board_and_cards() -> None:
    box = preflights.facts()
    bare = replace(box, gpus=())
    mute = preflights.facts(board_vendor="", board_name="")
    groups = siblings(
        [
            host("a", BLANK), host("b", BLANK), host("c", facts=bare), host("d", facts=mute),
            host("e", facts=mute), gone(),
        ]
    )  # fmt: skip
    assert [(group.hosts, group.differences) for group in groups] == [(("a", "b"), ())]
    lines = [line.plain for line in fleet.text([host("a", BLANK), host("b", BLANK)])]
    assert "a, b are alike (Imaginary Board 1 with 1 × NVIDIA Imaginary 8)" in lines


# Other documents


def test_junit_holds_only_what_xml_may(tmp_path: Path) -> None:
    odd = replace(SWAP, summary="a board called \x00\x08\ud800 <&>", observed="\ufffe")
    parsed = ET.fromstring(junit([host("b\x01x", odd)]))
    assert parsed[0].get("name") == "b\N{REPLACEMENT CHARACTER}x"
    text = parsed[0][1][0].text or ""
    assert text.startswith(
        "a board called \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER} <&>"
    )


def test_a_page_stands_alone_and_tells_the_same(tmp_path: Path) -> None:
    path = tmp_path / "preflight.html"
    evil = replace(SWAP, summary="<script>alert(1)</script> http://me:secret@mirror/")
    page.write_preflight_page([*preflights.fleet_of_four(), host("e", evil)], path)
    text = path.read_text(encoding="utf-8")
    for said in (
        ABOVE.summary,
        ABOVE.impact,
        "usually Advanced &gt; PCI Subsystem Settings",
        "gone",
        "differ in",
    ):
        assert said in text
    assert "<script" not in text
    assert 'id="' not in text, "the same check is told of several machines"
    assert "secret" not in text
    assert "http" not in text.replace("http://***@mirror/", "")
