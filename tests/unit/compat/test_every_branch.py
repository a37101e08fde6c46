"""Every kind of GPU on driver branches, loaded or asked for: chance meets those that matter too rarely."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.box import box_from
from provisioner.compat.decide import Ask, Decision, decide
from provisioner.compat.described import described

from . import oracle
from .test_properties import outcome_of, pythons

KINDS = {(one.capability, one.first_branch): one for one in knowledge.gpus() if not one.system_driver}
BRANCHES = [one for one in knowledge.branches() if one.branch in (535, 575, 580, 590, 615)]
FIRST = {one.capability: one.first_cuda for one in knowledge.capabilities()}


@pytest.mark.parametrize("gpu", KINDS.values(), ids=lambda gpu: gpu.name)
def test_a_branch_is_kept_or_installed_only_where_it_serves_the_gpu(gpu: knowledge.Gpu) -> None:
    cuda = max("12.4", FIRST[gpu.capability], key=knowledge.version)
    arch = next(iter(gpu.arches), "x86_64")
    box = described(
        gpu=gpu.name, os="ubuntu22.04", arch=arch, driver="none", memory="64GB", secure_boot=False
    )
    for branch in BRANCHES:
        loaded = replace(box, driver_version=branch.newest)
        ask = Ask(profiles.load("gemma3-270m"), cuda=cuda, driver=None)
        for facts, asked in (
            (loaded, replace(ask, driver="keep")),
            (box, replace(ask, driver=str(branch.branch))),
        ):
            answer = decide(box_from(facts), asked)
            assert isinstance(answer, Decision) == oracle.possible(facts, asked, pythons(facts)), str(answer)
            if isinstance(answer, Decision):
                assert oracle.wrong(facts, asked, outcome_of(facts, answer)) == []
