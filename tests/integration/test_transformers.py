"""The road that GPU profiles take, on the CPU: transformers and torch from a lock, the same weights."""

from __future__ import annotations

import pytest

from tests import lab
from tests.integration.cli import Provision
from tests.lab.fixtures import MachineFactory

PROFILE = ("--profile", "gemma3-270m-transformers")
# Where the lab mounts this host's wheel folder: torch's CPU build is on no index that is reached everywhere.
WHEELS = ("--set", 'host_base_find_links=["/srv/wheels"]')


@pytest.mark.skipif(
    lab.wheel_folder() is None, reason="no folder with torch's CPU wheel is configured for pip"
)
def test_the_same_model_through_transformers_says_the_same(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="bookworm", cache=True, wheels=True)
    small = provision.up(machine).expect(0).host(machine.name)["smoke"]
    large = provision.up(machine, *PROFILE, *WHEELS).expect(0).host(machine.name)
    memory = large["memory"]
    assert min(memory["predicted_rss_bytes"], memory["measured_rss_bytes"]) > 0
    # Unpacking a GGUF into 32 bits took 3384 MB on one machine and 2718 MB on another of 3559 MB predicted:
    # what its lists of tokens take beside the tensors is not understood yet. So this one is a ceiling.
    assert -0.3 <= memory["deviation"] <= 0.1, memory
    assert large["smoke"]["versions"].keys() >= {"torch", "transformers"}
    # Greedy decoding of one file by two runtimes: rounding may part them late, not at the start.
    words = 8
    assert large["smoke"]["text"].split()[:words] == small["text"].split()[:words]
    assert provision.up(machine).expect(0).host(machine.name)["status"] == "nothing to do"
    provision.verify(machine).expect(0)
