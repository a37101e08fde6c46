"""Names and addresses, only where the network was asked about."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.audit import Mirror
from provisioner.preflight.needs import Needs
from tests.unit.preflight.cases import Row, absent, ask, case, check, hidden

OFFLINE = Needs(profile="autoglm", downloads=False)
FAST = Mirror("weights", "https://hub.example/models", 0.12, 200)
MISSING = Mirror("weights", "https://mirror.example/x", 0.3, 404)
DEAD = Mirror("weights", "https://dead.example", error="timed out")
BUSY = Mirror("weights", "https://busy.example", 0.1, 503)
PROXY = Mirror("packages", "http://deb.example:8080/debian", 0.1, 407)
NAMELESS = Mirror("packages", "https://nowhere.example", error="its name is not known here")
OLD = Mirror("packages", "https://old.example", error="certificate verify failed: not yet valid")


def network(*mirrors: Mirror, resolvers: Any = ("192.0.2.53",), **more: Any) -> dict[str, Any]:
    return {"network": {"resolvers": resolvers, "mirrors": mirrors}, **more}


ROWS = [
    Row("resolved", "network.names", network(FAST), "pass: Names of hosts are resolved"),
    Row(
        "none",
        "network.names",
        network(NAMELESS),
        "fail blocking: No name of a host is resolved (name servers: 192.0.2.53)",
        actor="system",
    ),
    Row(
        "none, nothing to fetch",
        "network.names",
        network(NAMELESS, needs=OFFLINE),
        "warn warning: No name of a host is resolved (name servers: 192.0.2.53)",
    ),
    Row(
        "some",
        "network.names",
        network(FAST, NAMELESS),
        "pass: Names of hosts are resolved, all but nowhere.example",
    ),
    Row("no server", "network.names", network(resolvers=()), "warn warning: No name server is configured"),
    Row(
        "no server, and a proxy that resolves",
        "network.names",
        network(FAST, resolvers=()),
        "pass: Names of hosts are resolved",
    ),
    Row(
        "nobody asked",
        "network.names",
        network(),
        "unknown: Whether names of hosts are resolved: there was none to ask for",
    ),
    Row(
        "unread",
        "network.names",
        network(resolvers=absent("/etc/resolv.conf is not there")),
        "unknown: Which name servers are asked: /etc/resolv.conf is not there",
    ),
    Row("not asked about", "network.names", {}, ()),
    Row(
        "one answers",
        "network.mirrors",
        network(FAST),
        "pass mirrors:weights: For weights, 1 address answers, the fastest in 0.1 seconds",
    ),
    Row(
        "a page that is not there is an answer",
        "network.mirrors",
        network(FAST, MISSING),
        "pass mirrors:weights: For weights, 2 addresses answer, the fastest in 0.1 seconds",
    ),
    Row(
        "one of two",
        "network.mirrors",
        network(FAST, DEAD),
        "warn warning mirrors:weights: For weights, 1 of 2 addresses do not answer: dead.example (timed out)",
    ),
    Row(
        "an address of numbers",
        "network.mirrors",
        network(FAST, Mirror("weights", "http://[fd00::1]:8080/w", error="timed out")),
        "warn warning mirrors:weights: For weights, 1 of 2 addresses do not answer: [fd00::1] (timed out)",
    ),
    Row(
        "none of a kind",
        "network.mirrors",
        network(FAST, PROXY, OLD),
        (
            (
                "fail blocking mirrors:packages: For packages, nothing answers: deb.example (HTTP 407) "
                "and old.example (certificate verify failed: not yet valid)"
            ),
            "pass mirrors:weights: For weights, 1 address answers, the fastest in 0.1 seconds",
        ),
    ),
    Row(
        "none, nothing to fetch",
        "network.mirrors",
        network(BUSY, DEAD, needs=OFFLINE),
        "warn warning mirrors:weights: For weights, nothing answers: "
        "busy.example (HTTP 503) and dead.example (timed out)",
        actor="system",
    ),
    Row(
        "one name that is not known",
        "network.mirrors",
        network(FAST, NAMELESS),
        (
            (
                "fail blocking mirrors:packages: For packages, nothing answers: "
                "nowhere.example (its name is not known here)"
            ),
            "pass mirrors:weights: For weights, 1 address answers, the fastest in 0.1 seconds",
        ),
    ),
    Row(
        "no name at all, which the other rule tells",
        "network.mirrors",
        network(NAMELESS, replace(NAMELESS, what="weights")),
        (
            (
                "unknown mirrors:packages: Whether packages can be fetched: "
                "no name of a host is resolved here (network.names)"
            ),
            (
                "unknown mirrors:weights: Whether weights can be fetched: "
                "no name of a host is resolved here (network.names)"
            ),
        ),
    ),
    Row(
        "nothing to ask",
        "network.mirrors",
        network(),
        "unknown: Whether anything can be fetched: no address is known to ask",
    ),
    Row(
        "unread",
        "network.mirrors",
        {"network": {"mirrors": hidden("no sockets here")}},
        "unknown: Whether anything can be fetched: no sockets here",
    ),
    Row("not asked about", "network.mirrors", {}, ()),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_network_is_judged(row: Row) -> None:
    check(row)


def test_a_certificate_that_is_refused_points_at_the_clock_and_407_at_the_proxy() -> None:
    (found,) = ask("network.mirrors", case(**network(PROXY, OLD)))
    assert found.remedy is not None
    assert found.remedy.steps[:3] == (
        "Check the clock first: a wrong one makes every certificate invalid.",
        "Where the network has its own certificate: set SSL_CERT_FILE.",
        "The proxy asks who you are: put the login into https_proxy.",
    )


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("system packages", "Or name a mirror that can be reached in the package manager's sources."),
        ("Python packages", "`provision up --set host_base_pypi_index=https://MIRROR`."),
        ("weights of Imaginary 8", "`provision up --set model_weights_mirrors=https://MIRROR`."),
    ],
)
def test_a_name_that_is_not_known_and_where_another_mirror_is_named(what: str, told: str) -> None:
    (found, *_) = ask("network.mirrors", case(**network(replace(NAMELESS, what=what), FAST)))
    assert found.remedy is not None
    assert found.remedy.steps[0].startswith("Try the name: `getent hosts nowhere.example`")
    assert found.remedy.steps[-1].endswith(told)
