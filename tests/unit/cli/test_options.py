"""What the environment of this machine's user says counts where this machine is meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioner.cli import options
from provisioner.hosts.transport import Access

STOCK = "-----BEGIN CERTIFICATE-----\nc3RvY2s=\n-----END CERTIFICATE-----\n"
COMPANY = "-----BEGIN CERTIFICATE-----\nY29t\ncGFueQ==\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("system", "bundle", "own"),
    [
        (STOCK, f"# comment\n{STOCK}{COMPANY}", [COMPANY]),
        (STOCK, COMPANY, [COMPANY]),
        (None, STOCK, [STOCK]),
        (STOCK + COMPANY, STOCK + COMPANY, []),
        (COMPANY.replace("Y29t\n", "Y29t"), COMPANY, []),
        (STOCK, None, []),
    ],
)
def test_only_what_the_system_does_not_trust_is_taken(
    tmp_path: Path, system: str | None, bundle: str | None, own: list[str]
) -> None:
    for name, text in (("system", system), ("bundle", bundle)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert options.own_authorities(str(tmp_path / "bundle"), tmp_path / "system") == own


@pytest.mark.parametrize(
    ("hosts", "given", "wanted"),
    [((), (), [COMPANY]), (("box",), (), None), ((), ("given",), [STOCK])],
)
def test_the_environment_speaks_for_this_machine_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hosts: Any, given: tuple[str, ...], wanted: Any
) -> None:
    (tmp_path / "company").write_text(COMPANY)
    (tmp_path / "given").write_text(STOCK)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company"))
    said = {
        "assignments": (), "certificates": tuple(tmp_path / name for name in given), "profile": None,
        "model": None, "scope": "auto", "require_gpu": False,
    }  # fmt: skip
    settings = options.settings_from(said, options.Where(hosts, (), None, Access()))
    assert settings.variables.get("host_base_ca_certificates") == wanted


def test_a_relative_ssh_config_is_found_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config").touch()
    given = {
        "hosts": ("box",), "inventories": (), "limit": None, "become_password_file": None,
        "ssh_config": Path("config"), "accept_new_host_keys": False, "ask_become_pass": False,
    }  # fmt: skip
    assert options.where_from(given).access.ssh_config == str(tmp_path / "config")
