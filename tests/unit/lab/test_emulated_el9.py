"""The emulated packages of EL 9: closed under their dependencies, and those that the plan asks for."""

from __future__ import annotations

import yaml

from provisioner.compat import knowledge
from tests.lab.nvidia import el9
from tests.lab.nvidia.rpm import Rpm, spec

BRANCHES = sorted(el9.sets()["el9-driver"].each)


def test_every_dependency_is_there() -> None:
    found = [*el9.toolkit(), *el9.of_set("el9-base"), *el9.of_set("el9-traps")]
    found += [one for branch in BRANCHES for one in el9.of_set("el9-driver", branch)]
    needed = {need.split()[0] for one in found for need in one.needs}
    assert needed - {one.name for one in found} == set()
    assert not [one.name for one in found if "-dev-" in one.name]


def test_what_the_plan_asks_for_is_there() -> None:
    base = {one.name for one in el9.of_set("el9-base")}
    streams = {one["data"]["stream"] for one in yaml.safe_load_all(el9.modules())}
    there = base | {one.name for one in el9.of_set("el9-driver", 580)}
    routes = [one for one in knowledge.driver_routes() if "el9" in one.systems and one.packages]
    assert len(routes) == 2
    for route in routes:
        stream, *names = (name.format(branch=580) for name in route.packages)
        assert stream.removeprefix("@nvidia-driver:") in streams
        assert set(names) <= there


def test_a_spec_has_each_package_with_its_epoch_and_its_files() -> None:
    said = spec(
        "set", [Rpm("a", "3:1.2-1.el9", ("b >= 1",), files={"/usr/bin/a": "echo 5%"}), Rpm("b", "1-2")]
    )
    assert "%package -n a\nVersion: 1.2\nRelease: 1.el9\nSummary: emulated\nEpoch: 3\n" in said
    assert "Requires: b >= 1\n" in said
    assert "%attr(0755,root,root) /usr/bin/a\n" in said
    assert "echo 5%%\n" in said
    assert "%package -n b\nVersion: 1\nRelease: 2\nSummary: emulated\nAutoReqProv: no\n" in said
    assert [Rpm("a", "3:1.2-1").file, Rpm("b", "1-2").nevra] == ["a-1.2-1.x86_64.rpm", "b-0:1-2.x86_64"]
