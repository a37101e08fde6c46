from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import pip_config, process


def test_lines_come_one_by_one_also_those_drawn_over(capfd: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def mine(line: str) -> bool:
        seen.append(line)
        return line.startswith("Progress")

    done = process.run(["printf", "a\\nProgress 1\\rProgress 2\\r\\nlast"], os.environ, mine)
    assert (done, seen) == (process.Done(0, ["a", "last"]), ["a", "Progress 1", "Progress 2", "last"])
    assert capfd.readouterr().out == "+ printf a\\nProgress 1\\rProgress 2\\r\\nlast\na\nlast\n"


def test_both_streams_and_the_exit_status() -> None:
    assert process.run(["sh", "-c", "echo out; echo err >&2; exit 7"], os.environ) == (7, ["out", "err"])


def test_logins_in_urls_stay_out_of_the_log(capfd: pytest.CaptureFixture[str]) -> None:
    done = process.run(["echo", "https://me:se@cret@mirror.example/simple"], os.environ)
    assert done.lines == ["https://***@mirror.example/simple"]
    assert "cret" not in capfd.readouterr().out


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(TargetError, match="cannot start /nowhere/uv: No such file"):
        process.run(["/nowhere/uv"], os.environ)


CASES: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    (
        {"pypi_index": "https://m.example/simple", "find_links": ["/a", "/b"], "hub_endpoint": "http://hub.example"},
        {
            "UV_DEFAULT_INDEX": "https://m.example/simple", "PIP_INDEX_URL": "https://m.example/simple",
            "UV_FIND_LINKS": "/a,/b", "PIP_FIND_LINKS": "/a /b", "HF_ENDPOINT": "http://hub.example",
        },
    ),
    (
        {"find_links": ["/a b", "https://c.example/d"]},
        {"UV_FIND_LINKS": "/a b,https://c.example/d", "PIP_FIND_LINKS": "file:///a%20b https://c.example/d"},
    ),
    (
        {"http_proxy": "http://p:1", "https_proxy": "http://p:2", "no_proxy": "localhost", "pypi_index": ""},
        {
            "http_proxy": "http://p:1", "HTTP_PROXY": "http://p:1", "https_proxy": "http://p:2",
            "HTTPS_PROXY": "http://p:2", "no_proxy": "localhost", "NO_PROXY": "localhost",
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("network", "wanted"), CASES)
def test_network_settings_become_variables(
    network: dict[str, Any], wanted: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_SYSTEM_BUNDLES", ())
    monkeypatch.setattr(pip_config, "index_for_uv", lambda env: None)
    always = {"LC_ALL": "C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "NO_COLOR": "1"}
    base = {"PATH": "/bin", "PYTHONPATH": "/evil", "VIRTUAL_ENV": "/other"}
    assert process.network_env(network, base) == {"PATH": "/bin", **always, **wanted}


def test_a_mirror_that_only_pips_configuration_names_is_uvs_too(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nindex-url = https://m.example/simple\n")
    base = {"PIP_CONFIG_FILE": str(config), "XDG_CONFIG_HOME": str(tmp_path)}
    assert process.network_env({}, base)["UV_DEFAULT_INDEX"] == "https://m.example/simple"
    named = process.network_env({"pypi_index": "https://own.example"}, base)
    assert (named["UV_DEFAULT_INDEX"], named["PIP_INDEX_URL"]) == ("https://own.example",) * 2


def test_the_machines_own_certificates_are_used_unless_others_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system, own = tmp_path / "system.crt", tmp_path / "own.crt"
    system.touch()
    own.touch()
    monkeypatch.setattr(process, "_SYSTEM_BUNDLES", (str(tmp_path / "none"), str(system)))
    names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")
    assert [process.network_env({}, {})[name] for name in names] == [str(system)] * 3
    assert [process.network_env({"ca_bundle": str(own)}, {})[name] for name in names] == [str(own)] * 3
    with pytest.raises(TargetError, match="no such certificate bundle"):
        process.network_env({"ca_bundle": str(tmp_path / "gone")}, {})
