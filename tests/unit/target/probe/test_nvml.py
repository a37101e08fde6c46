"""NVML against a library that only pretends to be one: its functions fill the structures as nvml.h says."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.target.probe import gpus, nvml, windows
from provisioner.target.probe.box import Box


class EmulatedLibrary:
    """Two GPUs; `refuse` names the functions that answer 3 (not supported)."""

    def __init__(self, refuse: tuple[str, ...] = ()) -> None:
        self.refuse = refuse
        self.shut = False

    def __getattr__(self, name: str) -> Any:
        if name in self.refuse:
            return lambda *_: 3
        if name not in FUNCTIONS:
            raise AttributeError(name)
        return lambda *arguments: FUNCTIONS[name](self, *arguments)

    def init(self) -> int:
        return 0

    def shutdown(self) -> int:
        self.shut = True
        return 0

    def version(self, buffer: Any, _size: Any) -> int:
        buffer.value = b"550.54.15"
        return 0

    def count(self, count: Any) -> int:
        count._obj.value = 2
        return 0

    def handle(self, index: Any, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 0

    def pci(self, handle: Any, pci: Any) -> int:
        pci._obj.bus, pci._obj.device_and_vendor = handle.value, 0x268410DE
        return 0

    def named(self, handle: Any, buffer: Any, _size: Any) -> int:
        buffer.value = b"NVIDIA RTX %d" % handle.value
        return 0

    def capability(self, _handle: Any, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = 8, 9
        return 0

    def memory(self, handle: Any, memory: Any) -> int:
        memory._obj.total = handle.value << 30
        return 0


FUNCTIONS: dict[str, Any] = {
    "nvmlInit_v2": EmulatedLibrary.init,
    "nvmlShutdown": EmulatedLibrary.shutdown,
    "nvmlSystemGetDriverVersion": EmulatedLibrary.version,
    "nvmlDeviceGetCount_v2": EmulatedLibrary.count,
    "nvmlDeviceGetHandleByIndex_v2": EmulatedLibrary.handle,
    "nvmlDeviceGetPciInfo_v3": EmulatedLibrary.pci,
    "nvmlDeviceGetName": EmulatedLibrary.named,
    "nvmlDeviceGetMemoryInfo": EmulatedLibrary.memory,
    "nvmlDeviceGetCudaComputeCapability": EmulatedLibrary.capability,
}


def gpu(index: int, **more: Any) -> dict[str, Any]:
    return {
        "address": f"0000:{index:02x}:00.0",
        "device": "0x2684",
        "name": f"NVIDIA RTX {index}",
        "memory_bytes": index << 30,
        "capability": "8.9",
        **more,
    }


BOTH = [gpu(1), gpu(2)]
REFUSALS: dict[tuple[str, ...], tuple[dict[str, Any], list[str]]] = {
    (): ({"driver": "550.54.15", "gpus": BOTH}, []),
    ("nvmlInit_v2",): ({"driver": None, "gpus": []}, ["nvmlInit_v2 answered 3"]),
    ("nvmlDeviceGetCount_v2",): (
        {"driver": "550.54.15", "gpus": []},
        ["nvmlDeviceGetCount_v2 answered 3"],
    ),
    ("nvmlDeviceGetMemoryInfo",): (
        {"driver": "550.54.15", "gpus": [gpu(1, memory_bytes=None), gpu(2, memory_bytes=None)]},
        ["nvmlDeviceGetMemoryInfo answered 3", "nvmlDeviceGetMemoryInfo answered 3"],
    ),
    ("nvmlDeviceGetCudaComputeCapability",): (
        {"driver": "550.54.15", "gpus": [gpu(1, capability=None), gpu(2, capability=None)]},
        ["nvmlDeviceGetCudaComputeCapability answered 3"] * 2,
    ),
}


@pytest.mark.parametrize("refuse", REFUSALS)
def test_emulated_nvml(monkeypatch: pytest.MonkeyPatch, refuse: tuple[str, ...]) -> None:
    library = EmulatedLibrary(refuse)
    monkeypatch.setattr(nvml, "load", lambda _: library)
    box = Box("/nowhere")
    found, unknown = REFUSALS[refuse]
    assert nvml.read(box, wsl=False) == found
    assert [entry["why"] for entry in box.unknown] == unknown
    assert library.shut is ("nvmlInit_v2" not in refuse)


def test_a_function_that_the_library_lacks_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "load", lambda _: object())
    box = Box("/nowhere")
    assert nvml.read(box, wsl=False) == {"driver": None, "gpus": []}
    assert [entry["why"] for entry in box.unknown] == ["nvmlInit_v2 answered absent"]


def test_no_library_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARIES", ("libprovisioner-has-no-such.so.1",))
    box = Box("/nowhere")
    assert nvml.read(box, wsl=False) == {"driver": None, "gpus": []}
    assert [entry["what"] for entry in box.unknown] == ["gpus.memory_bytes"]


def test_in_emulated_wsl_only_nvml_knows_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "load", lambda _: EmulatedLibrary())
    monkeypatch.setattr(gpus, "on_the_bus", lambda _: [])
    monkeypatch.setattr(gpus, "driver_version", lambda _: None)
    assert gpus.gpus(Box("/"), wsl=True) == (
        [gpu(1, vendor="0x10de", driver=None), gpu(2, vendor="0x10de", driver=None)],
        "550.54.15",
    )


@pytest.mark.parametrize(("wsl", "order"), [(True, ["what it stands on", "NVML"]), (False, ["NVML"])])
def test_in_emulated_wsl_what_nvml_stands_on_is_loaded_first(
    monkeypatch: pytest.MonkeyPatch, wsl: bool, order: list[str]
) -> None:
    found: list[str] = []

    def load(_: object) -> EmulatedLibrary:
        found.append("NVML")
        return EmulatedLibrary()

    monkeypatch.setattr(windows, "preload", lambda _: found.append("what it stands on"))
    monkeypatch.setattr(nvml, "load", load)
    nvml.read(Box("/"), wsl)
    assert found == order


def test_emulated_nvml_adds_to_what_the_bus_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    on_bus = {"address": "0000:01:00.0", "vendor": "0x10de", "device": "0x2684", "driver": "nvidia"}
    monkeypatch.setattr(nvml, "load", lambda _: EmulatedLibrary(("nvmlDeviceGetName",)))
    monkeypatch.setattr(gpus, "on_the_bus", lambda _: [dict(on_bus)])
    monkeypatch.setattr(gpus, "driver_version", lambda _: "550.54.15")
    monkeypatch.setattr(gpus, "model", lambda *_: "NVIDIA RTX 4090")
    found, driver = gpus.gpus(Box("/"), wsl=False)
    assert found[0] == {**on_bus, "name": "NVIDIA RTX 4090", "memory_bytes": None, "capability": "8.9"}
    assert driver == "550.54.15"
