"""llama.cpp's memory, against its own logs."""

from __future__ import annotations

from provisioner.sizing import catalogue
from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Load, Way
from provisioner.sizing.runtimes import llama

MIB = 1 << 20
LLAMA_8B = catalogue.shape("Llama-3.1-8B")
GPU = Way("llama", "cuda", "Q4_K_M")


def parts(way: Way, load: Load, name: str = "Llama-3.1-8B") -> dict[tuple[str, str], int]:
    return {(part.name, part.where): part.nbytes for part in budget(catalogue.shape(name), way, load).parts}


def test_the_log_of_a_model_that_is_wholly_on_the_gpu() -> None:
    """Llama 3 8B in Q4_K_M with n_ctx 512 on an RTX 3070: CUDA0 buffer 4403.49 MiB, CPU buffer 281.81 MiB,
    CUDA0 KV buffer 64.00 MiB, CUDA0 compute buffer 258.50 MiB, CUDA_Host compute buffer 9.01 MiB.
    """
    found = parts(GPU, Load(512))
    assert round(found["weights", "vram"] / MIB, 2) == 4403.49
    assert round(found["weights", "ram"] / MIB, 2) == 281.81
    assert found["kv cache", "vram"] == 64 * MIB
    # Without flash attention's mask, which that release did not have.
    assert found["buffers", "vram"] - 2 * 512 * 512 == 258.5 * MIB
    assert round(found["buffers", "ram"] / MIB, 2) == 9.0


def test_layers_off_the_gpu_take_their_share_along() -> None:
    whole, half, none = (
        parts(Way("llama", "cuda", "Q4_K_M", gpu_layers=on), Load(512)) for on in (33, 16, 0)
    )
    assert half["kv cache", "vram"] == half["kv cache", "ram"] == 32 * MIB
    assert ("kv cache", "ram") not in whole
    assert ("weights", "vram") not in none
    total = whole["weights", "vram"] + whole["weights", "ram"]
    assert half["weights", "vram"] + half["weights", "ram"] == none["weights", "ram"] == total


def test_more_layers_than_there_are_means_all() -> None:
    assert llama.layers_on_gpu(LLAMA_8B, Way("llama", "cuda", gpu_layers=999)) == 33


def test_tied_output_is_a_second_copy_on_the_gpu() -> None:
    shape = catalogue.shape("gemma-3-270m")
    on_gpu, in_ram = llama.split(shape, GPU)
    assert in_ram == 178_257_920
    assert on_gpu + in_ram == 246_587_904 + 178_257_920


def test_on_the_cpu_all_is_in_ram() -> None:
    found = parts(Way("llama", "cpu", "Q4_K_M"), Load(4096), "gemma-3-270m")
    assert {where for _, where in found} == {"ram"}
    assert found["weights", "ram"] == 246_587_904
    assert found["kv cache", "ram"] == (3 * 4096 + 15 * 1024) * 1024


def test_the_context_is_taken_in_full_from_the_start_and_padded() -> None:
    assert parts(GPU, Load(500, prompt=1))["kv cache", "vram"] == 64 * MIB
    assert parts(GPU, Load(513))["kv cache", "vram"] == 96 * MIB
    assert parts(GPU, Load(512, batch=4))["kv cache", "vram"] == 4 * 64 * MIB


def test_an_image_is_encoded_alone() -> None:
    one, four = (parts(GPU, Load(8192, images=count), "AutoGLM-Phone-9B") for count in (1, 4))
    assert one["vision", "vram"] == four["vision", "vram"] > 0
    assert ("vision", "vram") not in parts(GPU, Load(8192), "AutoGLM-Phone-9B")
