"""Writes the files beside it with the formats' own packages, and what those packages read in them.

`python make.py FOLDER [REAL.gguf]` in an environment with gguf, safetensors and numpy; of a real file only what
the package says of it is kept.
"""

import hashlib
import json
import sys
from pathlib import Path

import gguf
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

into = Path(sys.argv[1])
numbers = np.random.default_rng(3)
said = {}


def read(path):
    reader = gguf.GGUFReader(path)
    return {
        "tensors": [
            [t.name, t.tensor_type.name, [int(n) for n in t.shape][::-1], int(t.data_offset), int(t.n_bytes)]
            for t in reader.tensors
        ],
        "metadata": {
            key: field.contents() for key, field in reader.fields.items() if not key.startswith("GGUF.")
        },
    }


for name, order in (("little.gguf", gguf.GGUFEndian.LITTLE), ("big.gguf", gguf.GGUFEndian.BIG)):
    writer = gguf.GGUFWriter(into / name, "llama", endianess=order)
    writer.add_block_count(2)
    writer.add_embedding_length(32)
    writer.add_rope_freq_base(10000.0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(["<s>", "</s>", "你好", "a\nb"])
    writer.add_token_scores([0.0, -1.0, -2.5, -3.0])
    writer.add_token_types([3, 3, 1, 1])
    writer.add_add_bos_token(True)
    writer.add_array("test.nested", [[1, 2], [3]])
    for layer in range(2):
        plain = numbers.standard_normal((32, 64)).astype(np.float32)
        # The writer knows no quantised data in the other byte order.
        if name == "little.gguf":
            writer.add_tensor(
                f"blk.{layer}.attn_q.weight",
                gguf.quantize(plain, gguf.GGMLQuantizationType.Q8_0), raw_dtype=gguf.GGMLQuantizationType.Q8_0,
            )
        else:
            writer.add_tensor(f"blk.{layer}.attn_q.weight", plain)
        writer.add_tensor(f"blk.{layer}.attn_norm.weight", np.ones(33, np.float32))
    writer.add_tensor("token_embd.weight", numbers.standard_normal((4, 32)).astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    said[name] = read(into / name)
    # This reader flattens nested arrays.
    said[name]["metadata"]["test.nested"] = [[1, 2], [3]]

name = "plain.safetensors"
tensors = {
    "model.embed_tokens.weight": numbers.standard_normal((6, 4)).astype(np.float16),
    "model.layers.0.mlp.up_proj.weight": numbers.standard_normal((8, 4)).astype(np.float32),
    "model.layers.0.norm.weight": np.ones(4, np.float32),
    "ids": np.arange(3, dtype=np.int64),
    "scalar": np.array(1.5),
    "empty": np.zeros((0, 4), np.float32),
}
save_file(tensors, into / name, metadata={"format": "pt", "note": "a, b"})
names = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}
with safe_open(into / name, "np") as source:
    said[name] = {
        "tensors": {
            key: [
                names[str(source.get_tensor(key).dtype)], list(source.get_tensor(key).shape),
                source.get_tensor(key).tobytes().hex(),
            ]
            for key in source.keys()
        },
        "metadata": source.metadata(),
    }
for path in map(Path, sys.argv[2:]):
    real = read(path)
    for key, value in real["metadata"].items():
        if isinstance(value, list):
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            real["metadata"][key] = {"count": len(value), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (into / f"{path.stem}.json").write_text(json.dumps(real, ensure_ascii=False, sort_keys=True) + "\n")
(into / "said.json").write_text(json.dumps(said, ensure_ascii=False, sort_keys=True) + "\n")
