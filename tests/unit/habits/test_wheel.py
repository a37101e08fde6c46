"""The wheel carries what the checkout has: code, data, playbooks and roles, without the roles' tests."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from tests.unit.habits.tree import ROOT, project_files


def test_the_wheel_holds_package_playbooks_and_roles(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, timeout=100,
    )  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        (scripts,) = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        entry_points = archive.read(scripts).decode()
    assert {name for name in names if ".dist-info/" not in name} == set(expected())
    assert entry_points == "[console_scripts]\nprovision = provisioner.cli:main\n"


def expected() -> list[str]:
    found = []
    for path in project_files():
        name = path.relative_to(ROOT)
        if name.parts[0] == "provisioner":
            found.append(str(name))
        elif name.parts[0] in ("playbooks", "roles") and "molecule" not in name.parts:
            found.append(f"provisioner/_data/{name}")
    return found
