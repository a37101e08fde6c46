"""Names and the addresses that something will be fetched from; only where the network was asked about."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioner.audit import Mirror
from provisioner.preflight.finding import Evidence
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import unknown
from provisioner.preflight.words import listed, seconds, several

_NO_NAME = re.compile(
    r"resol|name or service|nodename|name has no|getaddrinfo|no address associated|name is not known",
    re.IGNORECASE,
)
_NO_TRUST = re.compile(r"certificate|ssl|tls", re.IGNORECASE)


def names(case: Case) -> Iterator[Verdict]:
    """Whether names of hosts are resolved, told by what happened to the addresses that were asked."""
    network = case.audit.network
    if network is None:
        return
    asked = network.mirrors.value or ()
    failed = [one for one in asked if _NO_NAME.search(one.error)]
    others = [one for one in asked if one not in failed]
    servers = listed(network.resolvers.value or ()) or "none"
    evidence = (seen(network.resolvers, servers), *_evidence(failed))
    remedy = by_hand(
        "Look at what resolves names: `resolvectl status`, or /etc/resolv.conf.",
        "Try one: `getent hosts HOST`.",
        "Behind a proxy that resolves them: set https_proxy.",
    )
    if failed and not others:
        yield bad(
            f"No name of a host is resolved (name servers: {servers})",
            failed[0].error,
            "an address for each name",
            weight="fail" if case.needs.downloads else "warn",
            evidence=evidence,
            remedy=remedy,
        )
    elif failed:
        # Whether that stands in anybody's way is the other rule's to say, of what is fetched from there.
        unknown_here = listed(list(dict.fromkeys(_host(one) for one in failed)))
        yield good(f"Names of hosts are resolved, all but {unknown_here}", servers, evidence=evidence)
    elif others:
        yield good("Names of hosts are resolved", servers, evidence=evidence)
    elif network.resolvers.value is None:
        yield cannot(network.resolvers, "Which name servers are asked")
    elif not network.resolvers.value:
        yield bad("No name server is configured", "none", "one or more", evidence=evidence, remedy=remedy)
    else:
        yield unknown("Whether names of hosts are resolved", "there was none to ask for", evidence=evidence)


def mirrors(case: Case) -> Iterator[Verdict]:
    """Whether something of each kind can be fetched from somewhere."""
    network = case.audit.network
    if network is None:
        return
    asked = network.mirrors
    if asked.value is None:
        yield cannot(asked, "Whether anything can be fetched")
        return
    if not asked.value:
        yield unknown(
            "Whether anything can be fetched", "no address is known to ask", evidence=(seen(asked, "none"),)
        )
    nameless = all(_NO_NAME.search(one.error) for one in asked.value)
    for what in dict.fromkeys(one.what for one in asked.value):
        if nameless:  # one trouble, which the other rule tells once
            why = "no name of a host is resolved here (network.names)"
            yield unknown(f"Whether {what} can be fetched", why, subject=f"mirrors:{what}")
            continue
        yield _kind(case, what, [one for one in asked.value if one.what == what])


def _kind(case: Case, what: str, asked: list[Mirror]) -> Verdict:
    reached = [one for one in asked if not _wrong(one)]
    lost = [one for one in asked if _wrong(one)]
    subject, evidence = f"mirrors:{what}", tuple(_evidence(asked))
    if not lost:
        best = min((one.seconds for one in reached if one.seconds is not None), default=0.0)
        how = "answers" if len(reached) == 1 else "answer"
        summary = f"For {what}, {several(len(reached), 'address')} {how}, the fastest in {seconds(best)}"
        return good(summary, f"{len(reached)} of {len(asked)}", subject=subject, evidence=evidence)
    why = listed([f"{_host(one)} ({_wrong(one)})" for one in lost])
    weight: Weight = "fail" if not reached and case.needs.downloads else "warn"
    none = "nothing answers" if not reached else f"{len(lost)} of {len(asked)} addresses do not answer"
    return bad(
        f"For {what}, {none}: {why}",
        f"{len(reached)} of {len(asked)} answer",
        "all answer",
        subject=subject,
        weight=weight,
        evidence=evidence,
        remedy=by_hand(
            *_steps(lost),
            "Behind a proxy: set https_proxy and no_proxy, for root too.",
            f"Or name a mirror that can be reached{_setting(what)}.",
        ),
    )


def _setting(what: str) -> str:
    """Where a mirror is named: for what `provision` fetches by itself, with an option of its own."""
    if what == "system packages":
        return " in the package manager's sources"
    name = "host_base_pypi_index" if what == "Python packages" else "model_weights_mirrors"
    return f": `provision up --set {name}=https://MIRROR`"


def _steps(lost: list[Mirror]) -> Iterator[str]:
    nameless = next((one for one in lost if _NO_NAME.search(one.error)), None)
    if nameless is not None:
        yield f"Try the name: `getent hosts {_host(nameless)}`; `resolvectl status` tells who is asked."
    if any(_NO_TRUST.search(one.error) for one in lost):
        yield "Check the clock first: a wrong one makes every certificate invalid."
        yield "Where the network has its own certificate: set SSL_CERT_FILE."
    if any(one.status == 407 for one in lost):
        yield "The proxy asks who you are: put the login into https_proxy."


def _wrong(one: Mirror) -> str:
    """What went wrong with an address; "" where it answers. A page that is not there is an answer."""
    if one.error:
        return one.error
    if one.status is not None and (one.status == 407 or one.status >= 500):
        return f"HTTP {one.status}"
    return "" if one.seconds is not None else "no answer"


def _evidence(mirrors: list[Mirror]) -> Iterator[Evidence]:
    for one in mirrors:
        yield Evidence(one.address, _wrong(one) or f"HTTP {one.status} in {seconds(one.seconds or 0)}")


def _host(one: Mirror) -> str:
    found = re.match(r"(?:[\w+.-]+://)?(\[[^\]]*\]|[^/:?]+)", one.address)
    return found.group(1) if found else one.address


RULES = (
    Rule("network.names", "network", names),
    Rule("network.mirrors", "network", mirrors),
)
