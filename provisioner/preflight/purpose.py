"""What a box is for: it decides how much a finding weighs. Inferred and shown; a person may know better."""

from __future__ import annotations

from typing import Literal, get_args

from provisioner.facts import Facts

Purpose = Literal["bare-metal", "multi-gpu", "vfio-host", "guest", "wsl2", "container"]
PURPOSES: tuple[Purpose, ...] = get_args(Purpose)


def infer(facts: Facts) -> tuple[Purpose, str]:
    """The purpose, and by what it was recognised."""
    if facts.os.wsl:
        return "wsl2", "Microsoft's kernel with its GPU device"
    if facts.os.container:
        return "container", f"this is a {facts.os.container} container"
    passed_through = [gpu.address for gpu in facts.gpus if gpu.driver == "vfio-pci"]
    if passed_through:
        return "vfio-host", f"{passed_through[0]} is bound to vfio-pci"
    virtualization = facts.audit.sight.virtualization.value if facts.audit else None
    if virtualization and virtualization != "none":
        named = f" ({virtualization})" if virtualization != "other" else ", of what kind nothing says"
        return "guest", f"a virtual machine{named}"
    if len(facts.gpus) > 1:
        return "multi-gpu", f"{len(facts.gpus)} NVIDIA GPUs"
    return "bare-metal", "no sign of virtualization" if virtualization else "nothing says otherwise"
