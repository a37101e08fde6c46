"""The toolkit's proof on a box whose nvcc, compilers and GPU are emulated; their words are real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import gpus, windows
from provisioner.target.system import nvcc
from provisioner.yamlfile import load_yaml

from .boxes import FakeBox

HERE = Path(__file__).parent
VERSION = [
    "nvcc: NVIDIA (R) Cuda compiler driver",
    "Built on Thu_Mar_28_02:18:24_PDT_2024",
    "Cuda compilation tools, release 12.4, V12.4.131",
    "Build cuda_12.4.r12.4/compiler.34097967_0",
]
NO_DEVICE = [
    "proof.runtime=12040",
    "proof.driver=12040",
    "proof.devices=0",
    "proof.where=counting devices",
    "proof.error=100",
    "proof.name=cudaErrorNoDevice",
    "proof.text=no CUDA-capable device is detected",
]
COMPUTED = ["proof.runtime=12040", "proof.driver=12080", "proof.devices=1", "proof.wrong=0"]
CARD = {"address": "0000:01:00.0", "driver": "nvidia", "capability": "8.9", "name": "NVIDIA GeForce RTX 4090"}
ASKED = nvcc.Asked("12.4", folder="/var/lib/provisioner", compiler="g++-13")


class Box(FakeBox):
    """A box with an nvcc, and what the program that it makes says."""

    def __init__(self, root: Path, home: str = "/usr") -> None:
        super().__init__(root, {"/proc/sys/kernel/osrelease": "6.12.0\n"})
        self.path("/var/lib/provisioner").mkdir(parents=True)
        self.write(f"{home}/bin/nvcc", "").chmod(0o755)
        self.compiles: tuple[int, list[str]] = (0, [])
        self.says: tuple[int, list[str]] = (3, NO_DEVICE)
        self.made = ""
        self.programs["nvcc"] = self._nvcc
        self.programs["proof"] = lambda *_: self.says

    def _nvcc(self, *arguments: str) -> tuple[int, list[str]]:
        if arguments == ("--version",):
            return 0, VERSION
        self.made = Path(arguments[-1]).read_text()
        if not self.compiles[0]:
            Path(arguments[arguments.index("-o") + 1]).write_text("program")
        return self.compiles

    @property
    def lines(self) -> list[str]:
        """What ran, without the folder."""
        return [line.replace(str(self.root), "") for line in self.ran]


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def with_a_gpu(monkeypatch: pytest.MonkeyPatch, box: Box, card: dict[str, Any] = CARD) -> None:
    box.write("/dev/nvidiactl", "")
    monkeypatch.setattr(gpus, "gpus", lambda box, wsl: ([card], "550.163.01"))


def test_without_a_gpu_it_says_so_emulated(box: Box) -> None:
    proof = nvcc.prove(box.host, ASKED)

    assert {**proof, "seconds": 0} == {
        "changed": False,
        "proved": True,
        "nvcc": "12.4.131",
        "release": "12.4",
        "path": "/usr/bin/nvcc",
        "arch": [],
        "compiler": "g++-13",
        "devices": 0,
        "computed": False,
        "said": "cudaErrorNoDevice",
        "seconds": 0,
    }
    proof_folder = "/var/lib/provisioner/.nvcc-proof"
    assert box.lines == [
        "nvcc --version",
        f"nvcc -cudart shared -o {proof_folder}/proof -ccbin g++-13 {proof_folder}/proof.cu",
        "proof",
    ]
    assert box.made == nvcc.SOURCE
    assert not box.path(proof_folder).exists()


def test_with_a_gpu_it_computes_emulated(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_gpu(monkeypatch, box)
    box.says = (0, COMPUTED)

    proof = nvcc.prove(box.host, ASKED)

    assert (proof["computed"], proof["devices"], proof["said"]) == (True, 1, "")
    assert proof["arch"] == ["-gencode=arch=compute_89,code=sm_89"]


def test_one_without_a_compiler_of_its_own_uses_the_systems_emulated(box: Box) -> None:
    nvcc.prove(box.host, ASKED._replace(compiler=""))

    assert "-ccbin" not in box.lines[1]


def test_one_that_others_do_not_find_is_linked_where_it_is_emulated(tmp_path: Path) -> None:
    box = Box(tmp_path, "/usr/local/cuda-12.4")

    nvcc.prove(box.host, ASKED._replace(shared=False))

    # lib64 in NVIDIA's own layout: `lib` holds nothing there.
    assert "-Xlinker -rpath=/usr/local/cuda-12.4/lib64 " in box.lines[1]


def test_checking_compiles_nothing_emulated(box: Box, tmp_path: Path) -> None:
    assert nvcc.prove(box.host, ASKED, check=True) == {"changed": False, "proved": False, "nvcc": "12.4.131"}
    assert box.lines == ["nvcc --version"]

    none = FakeBox(tmp_path / "none")
    assert nvcc.prove(none.host, ASKED, check=True) == {"changed": False, "proved": False, "nvcc": ""}


FAILURES = load_yaml(HERE.joinpath("nvcc_failures.yml").read_text())
GPU_ERRORS = load_yaml(HERE.joinpath("nvcc_gpu_errors.yml").read_text())


@pytest.mark.parametrize("case", FAILURES, ids=lambda case: case["case"])
def test_nothing_else_counts_emulated(case: dict[str, Any], box: Box) -> None:
    rc, *lines = case.get("compiling", (0,))
    box.compiles = (rc, lines)
    rc, *lines = case.get("running", (0,))
    box.says = (rc, lines)

    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED)

    assert (refused.value.message, refused.value.hint) == (case["what"], case["next"])
    assert not box.path("/var/lib/provisioner/.nvcc-proof").exists()


@pytest.mark.parametrize("case", GPU_ERRORS, ids=lambda case: str(case["error"]))
def test_with_a_gpu_it_must_compute_emulated(
    case: dict[str, Any], box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_gpu(monkeypatch, box)
    box.says = (3, ["proof.where=computing", f"proof.error={case['error']}", "proof.name=cudaError"])

    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED)

    assert (refused.value.message, refused.value.hint) == (case["what"], case["next"])


def test_a_gpu_that_computes_wrongly_is_no_proof_emulated(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    with_a_gpu(monkeypatch, box)
    box.says = (4, ["proof.devices=1", "proof.wrong=17"])

    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED)

    assert refused.value.message == "the GPU computes wrongly: 17 of its results are not right"


def in_wsl(monkeypatch: pytest.MonkeyPatch, box: Box, cache: str) -> None:
    """Emulated: the kernel's name, the GPU device, and a library that Windows lends."""
    with_a_gpu(monkeypatch, box, {**CARD, "driver": None})
    box.write("/proc/sys/kernel/osrelease", "6.6.87.2-microsoft-standard-WSL2\n")
    box.write("/dev/dxg", "")
    box.write(windows.LIBCUDA, "")
    box.write(windows.LOADER_CACHE, cache)


@pytest.mark.parametrize(
    ("cache", "lent"), [("", windows.LIBRARIES), (windows.LIBCUDA + "\0", None)], ids=["lost", "known"]
)
def test_in_wsl_it_finds_what_windows_lends_emulated(
    cache: str, lent: str | None, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_wsl(monkeypatch, box, cache)
    box.says = (0, COMPUTED)
    seen: list[str | None] = []
    plain = box.host.run

    def run(argv: Any, env: Any, on_line: Any = None) -> Any:
        if argv[0].endswith("/proof"):
            seen.append(env.get("LD_LIBRARY_PATH"))
        return plain(argv, env, on_line)

    box.host.run = run
    assert nvcc.prove(box.host, ASKED)["computed"]
    assert seen == [lent]


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (35, "update NVIDIA's driver in Windows, run wsl --shutdown there, then run again"),
        (100, f"run {windows.SMI}; in a container pass the devices on"),
        (719, f"run {windows.SMI}, and look at dmesg for what the driver says (Xid)"),
    ],
)
def test_in_wsl_the_next_step_is_one_that_can_be_taken_emulated(
    code: int, hint: str, box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_wsl(monkeypatch, box, "")
    box.says = (3, ["proof.where=computing", f"proof.error={code}", "proof.name=cudaError"])
    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED)
    assert refused.value.hint == hint


def test_a_gpu_of_a_virtual_machine_is_not_asked_for_emulated(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_gpu(monkeypatch, box, {**CARD, "driver": "vfio-pci"})

    assert not nvcc.prove(box.host, ASKED)["computed"]


def test_one_that_a_container_was_not_given_is_not_asked_for_emulated(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_a_gpu(monkeypatch, box)
    box.path("/dev/nvidiactl").unlink()

    assert not nvcc.prove(box.host, ASKED)["computed"]


def test_another_release_is_not_the_wanted_one_emulated(box: Box) -> None:
    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED._replace(release="12.8"))

    assert refused.value.message == (
        "CUDA 12.8 is not on this box: no nvcc of it is there (/usr/bin/nvcc is 12.4)"
    )
    assert box.lines == ["nvcc --version", "nvcc --version"]


def test_the_wanted_one_is_found_beside_another_emulated(box: Box) -> None:
    box.write("/usr/local/cuda-12.4/bin/nvcc", "").chmod(0o755)

    assert nvcc.prove(box.host, ASKED)["path"] == "/usr/local/cuda-12.4/bin/nvcc"


def test_an_nvcc_that_does_not_start_is_named_emulated(box: Box) -> None:
    box.programs["nvcc"] = lambda *_: (127, ["nvcc: error while loading shared libraries: libz.so.1"])

    with pytest.raises(TargetError) as refused:
        nvcc.prove(box.host, ASKED)

    assert refused.value.message == (
        "/usr/bin/nvcc names no release: nvcc: error while loading shared libraries: libz.so.1"
    )


def test_what_a_killed_attempt_left_goes_emulated(box: Box) -> None:
    box.write("/var/lib/provisioner/.nvcc-proof/old", "")

    nvcc.prove(box.host, ASKED)

    assert not box.path("/var/lib/provisioner/.nvcc-proof").exists()


def test_hanging_programs_are_ended_emulated(box: Box) -> None:
    ran = []

    def timeout(*arguments: str) -> tuple[int, list[str]]:
        ran.append(arguments[:2])
        name = arguments[2].rsplit("/", 1)[-1]
        return box.programs[name](*arguments[3:])

    box.program("timeout", timeout)

    nvcc.prove(box.host, ASKED)

    assert ran == [("--kill-after=5", "300"), ("--kill-after=5", "120")]


@pytest.mark.parametrize(
    ("own", "compiler", "needed"),
    [
        ("14", "g++-13", "g++-13"),
        ("13", "g++-13", ""),
        ("12.2.0", "g++-13", ""),
        ("what?", "g++-13", "g++-13"),
        ("14", "clang++", "clang++"),
        ("14", "", ""),
    ],
)
def test_where_the_systems_compiler_is_fine_no_other_is_named_emulated(
    own: str, compiler: str, needed: str, box: Box
) -> None:
    box.program("g++", lambda *_: (0, [own]))

    assert nvcc.prove(box.host, ASKED._replace(compiler=compiler))["compiler"] == needed
