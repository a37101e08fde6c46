"""Memory that runs out is recognised, whoever noticed it, and answered with something smaller."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import memory

GPU, HOST = "the GPU's memory", "the memory"
TEXTS: list[tuple[str, str | None]] = [
    ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity", GPU),
    ("RuntimeError: CUDA error: out of memory", GPU),
    (
        "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 512.00 MiB on device 0: cudaMalloc failed: o",
        GPU,
    ),
    ("llama_kv_cache: unable to allocate CUDA0 buffer", GPU),
    (
        "RuntimeError: [enforce fail at alloc_cpu.cpp:116] . DefaultCPUAllocator: can't allocate memory: you",
        HOST,
    ),
    ("DefaultCPUAllocator: not enough memory: you tried to allocate 1073741824 bytes.", HOST),
    ("MemoryError: ", HOST),
    ("MemoryError: std::bad_alloc", HOST),
    ("OSError: [Errno 12] Cannot allocate memory", HOST),
    ("llama_model_load: error loading model: mmap failed: Cannot allocate memory", HOST),
    ("llama_model_load: error loading model: unable to allocate CPU_REPACK buffer", HOST),
    ("ggml_aligned_malloc: insufficient memory\nE x: failed to allocate compute buffers", HOST),
    ("RuntimeError: CUDA error: no kernel image is available for execution on the device", None),
    ("RuntimeError: shapes cannot be multiplied", None),
    ("tensor 'token_embd.weight' data is not within the file bounds", None),
]


@pytest.mark.parametrize(("text", "what"), TEXTS)
def test_the_words_of_those_who_ran_out(text: str, what: str | None) -> None:
    assert memory.ran_out(text) == what


def test_the_next_smaller_plan_is_named() -> None:
    error = memory.refusal(GPU, "to load big", {"smaller": "gemma3-270m"})
    assert error.message == "the GPU's memory does not suffice to load big"
    assert error.hint == "take the next smaller: provision up --profile gemma3-270m"
    assert "no smaller profile" in (memory.refusal(GPU, "to load big", {}).hint or "")


def lay(root: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return str(root)


V2 = {"proc/self/cgroup": "0::/system.slice/ssh.service\n"}
V1 = {"proc/self/cgroup": "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"}
KILLED: list[tuple[dict[str, str], dict[str, str], str | None]] = [
    (
        {**V2, "sys/fs/cgroup/system.slice/memory.events.local": "oom 3\noom_kill 1\n"},
        {
            "sys/fs/cgroup/system.slice/memory.events.local": "oom 4\noom_kill 2\n",
            "sys/fs/cgroup/system.slice/memory.max": "268435456\n",
            "sys/fs/cgroup/memory.max": "max\n",
        },
        "the control group's limit of 268 MB",
    ),
    # In a container the mount shows the container's own group at the top.
    (
        {**V1, "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n"},
        {
            "sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        },
        "the control group's limit",
    ),
    (
        {"proc/vmstat": "nr_free_pages 5\noom_kill 7\n"},
        {"proc/vmstat": "nr_free_pages 5\noom_kill 8\n"},
        "the machine's memory",
    ),
    ({**V2, "proc/vmstat": "oom_kill 7\n"}, {}, None),
    ({}, {}, None),
]


@pytest.mark.parametrize(("before", "after", "what"), KILLED)
def test_the_kernel_killed_it(
    tmp_path: Path, before: dict[str, str], after: dict[str, str], what: str | None
) -> None:
    root = lay(tmp_path, before)
    then = memory.kills(root)
    lay(tmp_path, after)
    assert memory.killed_for_memory(then, root) == what


ROOM: list[tuple[dict[str, str], int | None]] = [
    ({}, None),
    ({"proc/meminfo": "MemTotal:        1000 kB\nMemFree:  10 kB\n"}, 1_024_000),
    ({"proc/meminfo": "MemTotal:        1000 kB\n", **V2, "sys/fs/cgroup/memory.max": "9000\n"}, 9000),
    ({"proc/meminfo": "MemTotal:        1000 kB\n", **V2, "sys/fs/cgroup/memory.max": "max\n"}, 1_024_000),
]


@pytest.mark.parametrize(("files", "room"), ROOM)
def test_all_the_memory_there_is(tmp_path: Path, files: dict[str, str], room: int | None) -> None:
    assert memory.total_bytes(lay(tmp_path, files)) == room


def test_weights_larger_than_all_memory_are_not_loaded(tmp_path: Path) -> None:
    """Mapped, they would be: a file is dropped and read again for every token."""
    weights = tmp_path / "m.gguf"
    weights.write_bytes(bytes(10_001))
    spec = {"model": str(weights), "smaller": "tiny"}
    root = lay(tmp_path, {**V2, "sys/fs/cgroup/memory.max": "10000\n"})
    with pytest.raises(TargetError) as caught:
        memory.require_room([str(weights)], spec, root)
    assert caught.value.message == "the memory (10 kB) does not suffice to load m.gguf (10 kB)"
    assert caught.value.hint == "take the next smaller: provision up --profile tiny"
    weights.write_bytes(bytes(10_000))
    memory.require_room([str(weights)], spec, root)


def test_a_real_process_that_may_not_have_more() -> None:
    """Its own words, as Python and the C library say them under a limit on its address space."""
    code = (
        "import mmap\ntry:\n mmap.mmap(-1, 1 << 40)\nexcept OSError as e:\n print('OSError:', e)\n"
        "bytearray(1 << 36)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)),
    )
    assert done.returncode == 1
    assert memory.ran_out(done.stdout) == HOST
    assert memory.ran_out(done.stderr) == HOST
