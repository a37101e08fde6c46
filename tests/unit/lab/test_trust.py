"""Certificates and wheels that this host was configured with."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.lab import trust


def pem(content: str, *, width: int = 64) -> str:
    text = base64.b64encode(content.encode()).decode()
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


STOCK, OTHER, COMPANY = (pem(name * 40) for name in ("stock", "other", "company"))


@pytest.mark.parametrize(
    ("bundle", "packaged", "added"),
    [
        pytest.param(STOCK + OTHER, [STOCK, OTHER], "", id="a stock system"),
        pytest.param(STOCK + COMPANY + OTHER, [STOCK, OTHER], COMPANY, id="one added"),
        pytest.param(f"# Company\n{COMPANY}\n\n{OTHER}", [STOCK], COMPANY + OTHER, id="order, no comments"),
        pytest.param(pem("stock" * 40, width=76), [STOCK], "", id="other line lengths"),
        pytest.param(COMPANY + COMPANY, [], COMPANY, id="named once"),
        pytest.param("", [STOCK], "", id="an empty bundle"),
    ],
)
def test_added_certificates(bundle: str, packaged: list[str], added: str) -> None:
    assert trust.added_certificates(bundle, packaged) == added


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    folder = tmp_path / "packaged" / "mozilla"
    folder.mkdir(parents=True)
    (folder / "stock.crt").write_text(STOCK)
    return folder.parent


def test_extra_ca_certificates_are_a_file(
    tmp_path: Path, packaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path / "cache"))
    bundle = tmp_path / "bundle.crt"
    bundle.write_text(STOCK + COMPANY)
    found = trust.extra_ca_certificates(bundle, packaged)
    assert found == tmp_path / "cache" / "extra-ca.pem"
    assert found.read_text() == COMPANY
    assert [path.name for path in found.parent.iterdir()] == ["extra-ca.pem"]


@pytest.mark.parametrize("content", [None, STOCK], ids=["no bundle", "nothing added"])
def test_no_extra_ca_certificates(tmp_path: Path, packaged: Path, content: str | None) -> None:
    bundle = tmp_path / "bundle.crt"
    if content is not None:
        bundle.write_text(content)
    assert trust.extra_ca_certificates(bundle, packaged) is None


def test_wheel_folder_is_the_first_local_one(tmp_path: Path) -> None:
    wheels = tmp_path / "my wheels"
    plain = tmp_path / "plain"
    plain.mkdir()
    configured = {
        "PIP_FIND_LINKS": f"https://wheels.example/all {tmp_path}/missing {wheels.as_uri()} {plain}"
    }
    assert trust.wheel_folder(configured) == plain
    wheels.mkdir()
    assert trust.wheel_folder(configured) == wheels


def test_a_remote_wheel_page_is_no_folder() -> None:
    assert trust.wheel_folder({"PIP_FIND_LINKS": "https://wheels.example/all"}) is None
