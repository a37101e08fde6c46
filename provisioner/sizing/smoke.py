"""The smoke test as a way and a load: it is a real run, so its peak says whether a prediction was true."""

from __future__ import annotations

from dataclasses import replace

from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Budget, Load, Shape, Way

# target/runtime/backends/llama.py reserves so many tokens, and keeps them all in every layer.
LLAMA_CONTEXT = 2048
# Tokens of the fixed passage (target/runtime/passage.py): 281 with Gemma's tokenizer; others are near.
PASSAGE_TOKENS = 280
PROMPT_TOKENS = 16


def smoke_load(way: Way, tokens: int) -> Load:
    """What the smoke test asks of a model that is to write so many tokens.

    llama.cpp reads the passage token by token and keeps no logits.
    """
    if way.runtime == "llama":
        return Load(LLAMA_CONTEXT, prompt=PROMPT_TOKENS)
    return Load(max(PASSAGE_TOKENS, PROMPT_TOKENS + tokens), prompt=PASSAGE_TOKENS, scored=PASSAGE_TOKENS)


def smoke_budget(shape: Shape, way: Way, tokens: int, *, gguf: bool = False) -> Budget:
    """What the smoke test of a model takes at its peak, part by part; `gguf`: its weights are in such a file,
    which transformers unpacks.
    """
    if way.runtime == "llama":
        way = replace(way, whole_cache=True)
    elif gguf and way.quantization == "none":
        shape = replace(shape, format="gguf")
    return budget(shape, way, smoke_load(way, tokens))
