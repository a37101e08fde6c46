"""`--model`: weights that are on the box, and weights from a hub (emulated, through a tunnel)."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hub.huggingface import COMMIT, HuggingFace, hugging_face
from tests.hub.modelscope import COMMIT as MS_COMMIT
from tests.hub.modelscope import ModelScope, model_scope
from tests.hub.server import Hub, serve
from tests.integration.cli import Provision
from tests.lab import Machine

GGUF = "/var/lib/provisioner/models/gemma-3-270m-q4_k_m/gemma-3-270m-q4_k_m.gguf"
HUB_PORT = 18080
LLAMA = ("--profile", "gemma3-270m")


def ran(provision: Provision) -> set[str]:
    """The roles that changed something in the last run."""
    return {event["role"] for event in provision.events() if event["kind"] == "changed"}


def test_a_file_on_the_box(converged: Machine, module_provision: Provision) -> None:
    converged.run("sh", "-ec", f"mkdir -p /srv/models && cp {GGUF} /srv/models/mine.gguf")
    host = (
        module_provision.up(converged, "--model", "path:/srv/models/mine.gguf").expect(0).host(converged.name)
    )
    assert (host["status"], host["smoke"]["tokens"]) == ("done", 50)
    assert ran(module_provision) == {"model_weights", "smoke_test"}
    again = module_provision.up(converged).expect(0).host(converged.name)
    assert (again["status"], again["plan"]["profile"]) == ("nothing to do", "mine")
    back = module_provision.up(converged, *LLAMA).expect(0).host(converged.name)
    assert back["plan"]["profile"] == "gemma3-270m"


def test_a_path_that_is_not_there_is_named_and_nothing_is_lost(
    converged: Machine, module_provision: Provision
) -> None:
    said = (
        module_provision.up(converged, *LLAMA, "--model", "path:/srv/nowhere").expect(1).host(converged.name)
    )
    assert said["role"] == "model_weights"
    assert "/srv/nowhere" in said["error"]
    module_provision.up(converged, *LLAMA).expect(0)


def test_a_repository_of_an_emulated_hub(
    converged: Machine, module_provision: Provision, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token reaches the hub and nothing else: no file of the box, no file of the run, no process list."""
    monkeypatch.setenv("HF_TOKEN", "hf_secret0123456789")
    content = gguf_of(converged)
    files = {"config.json": b"{}", "m.gguf": content, "m.bin": b"pickle"}
    endpoint = f"host_base_hub_endpoint=http://127.0.0.1:{HUB_PORT}"
    model = [*LLAMA, "--model", "hf:org/m"]
    with hugging_face(files, large={"m.gguf"}) as hub, tunnel(converged, hub):
        hub.known = hub.accepted = {"hf_secret0123456789"}
        said = module_provision.up(converged, *model, "--set", endpoint).expect(0)
        hub.branches["main"] = "c" * 40
        again = module_provision.up(converged, *model, "--set", endpoint).expect(0)
    assert again.host(converged.name)["status"] == "nothing to do", "the commit stays"
    host = said.host(converged.name)
    assert host["smoke"]["tokens"] == 50
    assert f"/org/m/resolve/{COMMIT}/m.gguf" in hub.hub.asked
    assert not any("m.bin" in path for path in hub.hub.asked), "a pickle is not even asked for"
    assert hub.tokens() == {"Bearer hf_secret0123456789"}
    assert "hf_secret" not in said.text
    grep = [
        "grep",
        "-rl",
        "hf_secret",
        "/opt/provisioner",
        "/var/lib/provisioner",
        "/var/log",
        "/root",
        "/tmp",
    ]
    assert converged.run(*grep, check=False).stdout == ""
    assert converged.run("sh", "-c", "journalctl --no-pager | grep -c hf_secret", check=False).stdout == "0\n"
    kept = [path for path in module_provision.state.rglob("*") if path.is_file()]
    assert [path for path in kept if "hf_secret" in path.read_text(errors="replace")] == []


def test_a_mirror_takes_over_from_a_hub_that_is_not_there(
    converged: Machine, module_provision: Provision
) -> None:
    """An emulated ModelScope stands in for a dead hub; a pickle in its place is refused."""
    content = gguf_of(converged)
    mirror = (
        f"model_weights_mirrors=[{{type: modelscope, repo: Org/m, endpoint: 'http://127.0.0.1:{HUB_PORT}'}}]"
    )
    dead = ["--set", "host_base_hub_endpoint=http://127.0.0.1:9", "--set", mirror]
    model = [*LLAMA, "--model", "hf:org/mirrored", *dead]
    with model_scope({"README.md": b"#", "m.bin": b"pickle"}) as hub, tunnel(converged, hub):
        said = module_provision.up(converged, *model).expect(1).host(converged.name)
        assert said["error"] == "Org/m holds no gguf weights"
        hub.commits[MS_COMMIT] = {"README.md": b"#", "m.gguf": content}
        host = module_provision.up(converged, *model).expect(0).host(converged.name)
    assert host["smoke"]["tokens"] == 50
    kept = json.loads(converged.run("cat", "/var/lib/provisioner/receipts/model_weights.json").stdout)
    assert kept["result"]["pinned"] == {
        "type": "modelscope", "repo": "Org/m", "revision": "master", "commit": MS_COMMIT,
    }  # fmt: skip


def test_an_address_with_its_digest(converged: Machine, module_provision: Provision) -> None:
    content = gguf_of(converged)
    wrong, right = "0" * 64, hashlib.sha256(content).hexdigest()
    url = f"http://127.0.0.1:{HUB_PORT}/some/own.gguf"
    with serve({"/some/own.gguf": content}) as hub, tunnel(converged, hub):
        model = [*LLAMA, "--set", "model_weights_bandwidth=1GB", "--model"]
        said = module_provision.up(converged, *model, f"{url}#sha256={wrong}").expect(1).host(converged.name)
        assert said["error"].startswith("own: own.gguf: the digest is ")
        assert said["error"].endswith(", twice")
        assert converged.run("ls", "/var/lib/provisioner/models").stdout.split().count("own") == 0
        host = module_provision.up(converged, *model, f"{url}#sha256={right}").expect(0).host(converged.name)
    assert host["smoke"]["tokens"] == 50


def gguf_of(machine: Machine) -> bytes:
    """The model's file on the machine."""
    argv = ["docker", "exec", machine.container, "cat", GGUF]
    return subprocess.run(argv, capture_output=True, check=True).stdout


@contextmanager
def tunnel(machine: Machine, hub: HuggingFace | ModelScope | Hub) -> Iterator[None]:
    """The hub's port on the machine's own loopback."""
    forward = f"{HUB_PORT}:127.0.0.1:{hub.url.rpartition(':')[2]}"
    argv = ["ssh", "-F", str(machine.ssh_config), "-o", "ExitOnForwardFailure=yes", "-N", "-R", forward]
    process = subprocess.Popen([*argv, machine.name])
    try:
        machine.run(
            "sh",
            "-c",
            f"for i in $(seq 100); do ss -ltn | grep -q :{HUB_PORT} && exit; sleep .1; done; exit 1",
        )
        yield
    finally:
        process.terminate()
        process.wait()
