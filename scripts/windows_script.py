"""Writes the decisions of provisioner/windows into scripts/bootstrap-wsl2.ps1.

`python -m scripts.windows_script` writes, `--check` only compares (exit 1 on a difference).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from provisioner.windows.table import table, written

SCRIPT = Path(__file__).with_name("bootstrap-wsl2.ps1")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only compare")
    options = parser.parse_args(argv)
    now = SCRIPT.read_text("utf-8")
    wanted = written(now, table())
    if now == wanted:
        return 0
    if options.check:
        print(f"{SCRIPT.name} does not carry provisioner/windows/data: python -m scripts.windows_script")
        return 1
    SCRIPT.write_text(wanted, encoding="utf-8")
    print(f"wrote {SCRIPT.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
