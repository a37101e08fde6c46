"""Whom a box asks before anything is fetched."""

from __future__ import annotations

from provisioner.profiles.mirrors import mirrors
from provisioner.profiles.origins import hubs


def test_the_hubs_of_the_default_profiles_each_once() -> None:
    assert mirrors() == [
        {"what": "weights of AutoGLM-Phone-9B", "address": hubs()[kind]["endpoint"]}
        for kind in ("hf", "modelscope")
    ]
