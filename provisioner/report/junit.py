"""Findings in the XML of JUnit, which CI shows as tests: a suite a machine, a case a finding."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from provisioner.preflight.finding import Finding
from provisioner.report.preflight import PreflightHost
from provisioner.report.preflight_words import told
from provisioner.secrecy import without_logins

# What XML 1.0 cannot hold, written in any way (its production Char).
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(hosts: Sequence[PreflightHost]) -> str:
    """The document. What blocks has failed, and with --strict what warns; what nobody could judge is skipped;
    what made no sense, and a machine that nobody could look at, is an error.
    """
    suites = ET.Element("testsuites", name="provision preflight")
    for host in hosts:
        suites.append(_suite(host))
    for count in ("tests", "failures", "errors", "skipped"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _suite(host: PreflightHost) -> ET.Element:
    suite = ET.Element(
        "testsuite", name=_text(host.name), hostname=_text(host.name), time=f"{host.seconds:.3f}"
    )
    if host.found is not None:
        properties = ET.SubElement(suite, "properties")
        ET.SubElement(properties, "property", name="purpose", value=host.found.purpose)
        ET.SubElement(properties, "property", name="because", value=_text(host.found.because))
    for one in host.findings:
        suite.append(_case(one, host))
    if host.error is not None:
        case = ET.SubElement(suite, "testcase", classname="preflight", name="reach")
        told_of = ET.SubElement(
            case, "error", type=type(host.error).__name__, message=_text(host.error.message)
        )
        told_of.text = _text(f"next: {host.error.hint}" if host.error.hint else "")
    suite.set("tests", str(len(suite.findall("testcase"))))
    for count, element in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(count, str(len(suite.findall(f"testcase/{element}"))))
    return suite


def _case(one: Finding, host: PreflightHost) -> ET.Element:
    name = f"{one.id} ({one.subject})" if one.subject else one.id
    case = ET.Element("testcase", classname=f"preflight.{one.category}", name=_text(name), time="0")
    counts = one.status == "fail" or (one.status == "warn" and host.strict and one.id not in host.ignored)
    if counts:
        element = ET.SubElement(case, "failure", type=one.severity, message=_text(one.summary))
    elif one.status == "error":
        element = ET.SubElement(case, "error", type="senseless", message=_text(one.summary))
    elif one.status in ("unknown", "not_applicable"):
        ET.SubElement(case, "skipped", message=_text(one.summary))
        return case
    else:
        element = ET.SubElement(case, "system-out")
    element.text = _text("\n".join(_lines(one)))
    return case


def _lines(one: Finding) -> list[str]:
    parts = told(one, evidence=True).parts
    return [one.summary, *(f"{label}: {text}" if label else f"  {text}" for label, text in parts)]


def _text(text: str) -> str:
    """What a document in XML may hold; a board's name may be any bytes."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", without_logins(text))
