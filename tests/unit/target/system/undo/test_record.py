from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.compat import roles as role_data
from provisioner.target.errors import TargetError
from provisioner.target.runtime.files import read_json
from provisioner.target.system.undo import record
from tests.unit.target.system.undo.undoing import Role


def test_the_order_is_that_in_which_roles_run() -> None:
    assert record.ORDER == role_data.ORDER


def test_what_stands_on_others_goes_first(tmp_path: Path) -> None:
    for name in ("host_base", "smoke_test", "python_env", "preflight_fixes"):
        Role(tmp_path, name).begin()
    Role(tmp_path, "python_env").done()
    (tmp_path / "state/saved/nvidia_driver").mkdir(parents=True)
    assert record.roles_on(str(tmp_path / "state")) == [
        "preflight_fixes",
        "smoke_test",
        "python_env",
        "nvidia_driver",
        "host_base",
    ]


def test_nothing_is_there() -> None:
    assert record.roles_on("/nowhere") == []


def test_what_a_role_left_is_known_only_when_it_has_ended(tmp_path: Path) -> None:
    role = Role(tmp_path)
    role.has("file", path=str(tmp_path))
    role.has("kernel")
    role.begin()
    known = record.read(str(role.state), role.name, "prior")
    assert [(item.kind, item.left) for item in known.items] == [("kernel", None), ("file", None)]
    role.done()
    known = record.read(str(role.state), role.name, "prior")
    assert [item.left and item.left["state"] for item in known.items] == ["present", "present"]
    assert record.read(str(role.state), role.name, "before").items == []
    role.begin()
    assert [item.left for item in record.read(str(role.state), role.name, "prior").items] == [None, None]


@pytest.mark.parametrize("broken", ["{", "[]", '{"schema": 2}'])
def test_a_receipt_that_says_nothing_stops_it(tmp_path: Path, broken: str) -> None:
    (tmp_path / "receipts").mkdir()
    path = tmp_path / "receipts/host_base.json"
    path.write_text(broken)
    with pytest.raises(TargetError) as caught:
        record.read(str(tmp_path), "host_base", "prior")
    assert str(caught.value) == f"{path} cannot be used: it is no receipt"


def test_a_receipt_that_goes_while_it_is_looked_for_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's way back, whose controller was killed, forgets roles meanwhile."""
    (tmp_path / "receipts").mkdir()
    (tmp_path / "receipts/host_base.json").write_text('{"schema": 1}')

    def too_late(path: str) -> dict[str, object] | None:
        Path(path).unlink(missing_ok=True)
        return read_json(path)

    monkeypatch.setattr(record, "read_json", too_late)
    assert record.read(str(tmp_path), "host_base", "prior").items == []
