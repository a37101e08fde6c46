"""Entries of wheels.yml, out of small wheels that are made here; the fat binary in one is real."""

from __future__ import annotations

import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from provisioner.compat.knowledge import Wheel
from provisioner.yamlfile import load_yaml
from scripts.wheel_facts import Facts, NoWheelError, Ranged, entries, located, main, one_a_platform, read

FAT = Path(__file__).parents[1].joinpath("data/fatbin/sm80-sm90-ptx80.fatbin").read_bytes()
TORCH = ("nvidia-cuda-runtime-cu12==12.8.90; platform_system == 'Linux'", "numpy; extra == 'x'")


def make(
    folder: Path, name: str, *, requires: tuple[str, ...] = (), members: dict[str, bytes] | None = None
) -> Path:
    """A wheel of this file name."""
    package, version, *_ = name.split("-")
    text = f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\nRequires-Python: >=3.10\n"
    text += "".join(f"Requires-Dist: {one}\n" for one in requires)
    path = folder / name
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in (members or {}).items():
            wheel.writestr(member, data)
        wheel.writestr(f"{package}-{version}.dist-info/METADATA", text)
        wheel.writestr(f"{package}-{version}.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return path


def torch(folder: Path, platform: str, flags: bytes = b"text before itsm_70 sm_90a compute_90\0") -> Path:
    members = {"torch/lib/libtorch_python.so": flags, "torch/lib/libother.so": FAT}
    return make(folder, f"torch-2.9.1-cp312-cp312-{platform}.whl", requires=TORCH, members=members)


def test_pytorchs_own_list_and_the_runtime_that_it_requires(tmp_path: Path) -> None:
    assert read(str(torch(tmp_path, "manylinux_2_28_x86_64"))) == Facts(
        package="torch",
        version="2.9.1",
        python=">=3.10",
        platform="linux",
        arch="x86_64",
        glibc="2.28",
        cuda="12.8",
        capabilities=("7.0", "9.0a", "9.0+PTX"),
    )


def test_a_torch_without_a_list_has_no_cuda_whatever_it_requires(tmp_path: Path) -> None:
    found = read(str(torch(tmp_path, "manylinux_2_28_aarch64", b"no flags")))

    assert (found.arch, found.cuda, found.capabilities) == ("aarch64", None, ())


def test_other_wheels_have_it_in_their_widest_fat_binary(tmp_path: Path) -> None:
    narrow = FAT[:16] + FAT[16:].replace(b"\x50\x00\x00\x00", b"\x5a\x00\x00\x00")
    path = make(
        tmp_path,
        "vllm-0.12.0-cp38-abi3-manylinux1_x86_64.whl",
        requires=("cuda-toolkit[cudart]==13.0.2", "torch==2.9.0", "requests"),
        members={"vllm/_a.so": narrow, "vllm/_C.abi3.so": b"x" + FAT, "vllm/_z.so.1": b"", "vllm/f.bin": FAT},
    )

    assert read(str(path)) == Facts(
        package="vllm",
        version="0.12.0",
        python=">=3.10",
        platform="linux",
        arch="x86_64",
        glibc="2.5",
        cuda="13.0",
        capabilities=("8.0+PTX", "9.0"),
        requires=("torch==2.9.0",),
    )


def test_a_library_can_need_a_newer_glibc_than_the_wheel_says(tmp_path: Path) -> None:
    library = b"\0libm.so.6\0GLIBC_2.2.5\0GLIBC_2.17\0GLIBC_2.3\0" + bytes(99) + b"GLIBC_2.99 in a text"
    members = {"a/_a.so": library, "a/_xpu2026.so": library.replace(b"2.17", b"2.32")}
    path = make(tmp_path, "a-1-cp310-abi3-manylinux1_x86_64.whl", members=members)

    assert read(str(path)).glibc == "2.17"


def test_the_entry_is_one_that_the_knowledge_reads(tmp_path: Path) -> None:
    linux = read(str(torch(tmp_path, "manylinux_2_28_x86_64")))
    arm = read(str(torch(tmp_path, "manylinux_2_17_aarch64.manylinux2014_aarch64", b"")))
    mac = read(str(torch(tmp_path, "macosx_11_0_arm64", b"")))

    lines = entries([mac, arm, linux])

    entry = (
        '- {package: torch, version: "2.9.1", python: ">=3.10", glibc: "2.28", cuda: "12.8", '
        'capabilities: ["7.0", "9.0a", "9.0+PTX"], arches: [x86_64, arm64], systems: [linux, macos], '
        "source: the wheel, confidence: ran}"
    )
    assert lines == [entry, "# torch 2.9.1 for linux aarch64: no CUDA"]
    assert msgspec.convert(load_yaml(lines[0]), list[Wheel])[0].capabilities == ("7.0", "9.0a", "9.0+PTX")


def test_an_architecture_with_code_for_other_gpus_is_told_apart(tmp_path: Path) -> None:
    found = [
        read(str(torch(tmp_path, "manylinux_2_28_aarch64", b"\0sm_90 sm_110\0"))),
        read(str(torch(tmp_path, "manylinux_2_28_x86_64", b"\0sm_75 sm_90\0"))),
    ]

    wheel = msgspec.convert(load_yaml(entries(found)[0]), list[Wheel])[0]

    assert wheel.code_for("x86_64") == ("7.5", "9.0")
    assert wheel.code_for("aarch64") == ("9.0", "11.0")


def test_wheels_that_are_alike_share_an_entry(tmp_path: Path) -> None:
    places = ["manylinux_2_17_x86_64", "manylinux_2_31_aarch64", "macosx_11_0_arm64"]
    found = [read(str(make(tmp_path, f"llama-1.0-cp310-abi3-{place}.whl"))) for place in places]

    entry = (
        '- {package: llama, version: "1.0", python: ">=3.10", glibc: "2.31", '
        "arches: [x86_64, aarch64, arm64], systems: [linux, macos], source: the wheel, confidence: ran}"
    )
    assert entries(found) == [entry]


def test_one_wheel_a_platform_is_looked_at() -> None:
    names = [
        "torch-2-cp312-cp312-win_amd64.whl",
        "torch-2-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2-3-cp313-cp313-manylinux_2_28_x86_64.whl",
        "torch-2-cp313-cp313t-manylinux_2_28_aarch64.whl",
        "torch-2-pp310-pypy310_pp73-manylinux_2_28_aarch64.whl",
        "torch-2-cp312-none-macosx_11_0_arm64.whl",
    ]

    found = one_a_platform(f"https://files.example/{name}" for name in names)

    assert [place.rpartition("/")[2] for place in found] == [names[1], names[5]]


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of any index."""
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    return tmp_path


def test_uv_says_where_the_wheels_are(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = [torch(index, "macosx_11_0_arm64", b""), torch(index, "manylinux_2_28_x86_64")]
    name, members = "vllm-0.12.0-cp38-abi3-manylinux_2_31_x86_64.whl", {"vllm/_C.abi3.so": FAT}
    make(index, name, requires=("torch==2.9.1",), members=members)
    make(index, name.replace("12", "13"), requires=("torch",), members=members)

    assert {Path(place).name for place in located("torch==2.9.1")} == {path.name for path in made}
    # The CUDA of a wheel that brings none of its own is that of the torch that it is used with.
    for arguments in (["vllm==0.12.0"], ["vllm==0.13.0", "--torch", "2.9.1"]):
        assert main(arguments) == 0
        assert 'cuda: "12.8", capabilities: ["8.0+PTX", "9.0"]' in capsys.readouterr().out


def test_a_version_that_is_nowhere_is_named(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vllm==0.0.9"]) == 1
    assert "vllm==0.0.9" in capsys.readouterr().err


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves one file, with or without ranges."""

    data = b""
    ranges = True

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.data)))
        self.end_headers()

    def do_GET(self) -> None:
        first, last = self.headers["Range"].removeprefix("bytes=").split("-")
        data = self.data[int(first) : int(last) + 1] if self.ranges else self.data
        self.send_response(206 if self.ranges else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Own", (Handler,), {})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", handler
    server.shutdown()
    server.server_close()


def test_a_remote_wheel_is_read_piecewise(tmp_path: Path, served: tuple[str, type[Handler]]) -> None:
    url, handler = served
    path = torch(tmp_path, "manylinux_2_28_x86_64")
    handler.data = path.read_bytes()

    assert read(url + path.name) == read(str(path))


def test_a_server_without_ranges_is_named(served: tuple[str, type[Handler]]) -> None:
    url, handler = served
    handler.data, handler.ranges = bytes(100), False

    with pytest.raises(NoWheelError, match="whole files only"):
        Ranged(url).read(10)
