"""`python -m tests.lab.nvidia SYSTEM FOLDER`: an emulated repository as FOLDER/nvidia.tar, fit for any web
server, and what a role is told of it as FOLDER/nvidia.json. For molecule, whose machine serves it to itself.
"""

from __future__ import annotations

import argparse
import io
import json
import tarfile
import tempfile
from pathlib import Path

from tests.lab.nvidia.repository import emulate
from tests.lab.nvidia.signing import SigningKey
from tests.lab.nvidia.stubs import systems


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.lab.nvidia", description=__doc__)
    parser.add_argument("system", choices=sorted(systems()))
    parser.add_argument("folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="provision-gpg-") as folder:
        key = SigningKey.make(Path(folder) / "home")
        try:
            held = emulate(key, [asked.system])
        finally:
            key.close()
    with tarfile.open(asked.folder / "nvidia.tar", "w") as tar:
        for path, content in held.files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    text = json.dumps(held.variables[asked.system], indent=1)
    (asked.folder / "nvidia.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
