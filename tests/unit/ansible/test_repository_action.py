"""The action provision_repository: what the entry is asked."""

from __future__ import annotations

from provisioner import argspec, layout
from tests.unit.ansible.test_actions import load

action = load("provision_repository")


def test_every_variable_of_the_role_reaches_the_entry() -> None:
    defaults = argspec.read_defaults(layout.roles() / "nvidia_repository")
    told = {name: f"<{name}>" for name in defaults}
    asked = action.request(told, {"do": "set", "network": "/opt/network.json"}, check=True)
    assert asked == {
        "name": "<nvidia_repository_name>",
        "arch": "<nvidia_repository_arch>",
        "url": "<nvidia_repository_url>",
        "keyring": {
            "url": "<nvidia_repository_keyring_url>",
            "sha256": "<nvidia_repository_keyring_sha256>",
        },
        "fingerprint": "<nvidia_repository_fingerprint>",
        "mirror": "<nvidia_repository_mirror>",
        "driver": "<nvidia_repository_driver>",
        "network": "/opt/network.json",
        "look": False,
        "check": True,
    }
    assert sum(value in str(asked) for value in told.values()) == len(told)


def test_a_look_is_one() -> None:
    defaults = argspec.read_defaults(layout.roles() / "nvidia_repository")
    asked = action.request(dict(defaults), {"do": "look"}, check=False)
    assert (asked["look"], asked["network"], asked["name"]) == (True, "", "")
