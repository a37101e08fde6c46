from __future__ import annotations

import importlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import aptsources, audit, network
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.hub.server import Answer, serve
from tests.hub.tls import authority, serving

Plant = Callable[..., Path]


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, no certificates, no sources and no index of the machine that the tests run on."""
    for name in list(os.environ):
        if "proxy" in name.lower() or name.startswith(("UV_", "PIP_", "SSL_", "XDG_CONFIG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setattr(aptsources, "sources", lambda _box: [])
    monkeypatch.setattr(network, "pips_own", lambda _box: None)


def look(*addresses: str, patience_s: float = 2.0, **settings: str) -> list[dict[str, Any]]:
    request = {"mirrors": [{"what": "weights", "address": one} for one in addresses], "settings": settings}
    found = network.mirrors(Box(), request, patience_s)
    assert found["state"] == "read", found
    mirrors: list[dict[str, Any]] = found["value"]
    return mirrors


def test_a_mirror_that_answers_is_asked_once_and_nothing_is_fetched() -> None:
    with serve({"/simple/": b"x" * 9}) as hub:
        host = hub.url.partition("//")[2]
        hub.routes.append(lambda request: Answer(status=401) if request.path == "/closed" else None)
        found = look(
            f"http://joe:secret@{host}/simple/?token=1",
            f"{hub.url}/simple",
            f"{hub.url}/none",
            f"{hub.url}/closed",
        )
        assert [(one["address"], one["status"], one["error"]) for one in found] == [
            (f"{hub.url}/simple/", 200, ""),
            (f"{hub.url}/none", 404, ""),
            (f"{hub.url}/closed", 401, ""),
        ]
        assert all(0 <= one["seconds"] < 2 for one in found)
        assert {seen.method for seen in hub.log} == {"HEAD"}
        assert hub.headers_of("/simple/", "authorization") == {"Basic am9lOnNlY3JldA=="}
        assert "secret" not in str(found)


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_nobody_is_there() -> None:
    (found,) = look(f"http://127.0.0.1:{free_port()}/")
    assert (found["seconds"], found["status"], found["error"]) == (None, None, "Connection refused")


@pytest.mark.parametrize(
    ("code", "error"),
    [(socket.EAI_NONAME, "its name is not known here"), (socket.EAI_AGAIN, "no name server answers")],
)
def test_a_name_that_nobody_knows(monkeypatch: pytest.MonkeyPatch, code: int, error: str) -> None:
    def unknown(*_: Any) -> None:
        raise socket.gaierror(code, "in the C library's words")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert look("https://mirror.example/")[0]["error"] == error


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(8)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"


def test_all_are_asked_at_once_and_silence_has_an_end(silent: str) -> None:
    import time

    start = time.monotonic()
    found = look(silent, silent + "a", silent + "b", patience_s=0.3)
    assert time.monotonic() - start < 0.8
    assert {one["error"] for one in found} == {"nothing came for 0.3 s"}


def test_a_name_server_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: over.wait(10))
    try:
        assert (
            look("http://mirror.example/", patience_s=0.1)[0]["error"]
            == "the name server said nothing for 0.1 s"
        )
    finally:
        over.set()


def test_a_certificate_that_nobody_trusts(tmp_path: Path) -> None:
    certificate = authority(tmp_path / "own.pem")
    with serve({"/": b""}, tls=serving(certificate)) as hub:
        (found,) = look(hub.url + "/")
        assert found["error"].startswith("its certificate is not trusted: self")
        assert found["error"].endswith("; name your network's certificate authority in SSL_CERT_FILE")
        (found,) = look(hub.url + "/", ca_bundle=str(certificate))
        assert (found["status"], found["error"]) == (200, "")


def test_settings_that_make_no_sense() -> None:
    found = network.mirrors(Box(), {"settings": {"ca_bundle": "/nowhere.pem"}})
    assert (found["state"], found["why"]) == ("error", "/nowhere.pem: no such certificate bundle")


def test_the_way_through_a_proxy() -> None:
    with serve({"http://mirror.example/d": b""}) as proxy:
        proxy.routes.append(lambda request: Answer(status=203) if request.method == "HEAD" else None)
        (found,) = look("http://mirror.example/d", http_proxy=proxy.url)
        assert (found["status"], found["error"]) == (203, "")
    (found,) = look("http://mirror.example/d", http_proxy=proxy.url)
    assert found["error"] == f"by the proxy {proxy.url[7:]}: Connection refused"
    assert "no proxy" in look("http://mirror.example/d", http_proxy="socks5://h:1")[0]["error"]


def test_servers_that_need_no_proxy() -> None:
    with serve({"/": b""}) as hub:
        (found,) = look(hub.url, http_proxy="http://127.0.0.1:1", no_proxy="127.0.0.1")
        assert found["status"] == 200


@pytest.mark.parametrize(
    "address",
    ["ftp://joe:pw@host/x", "http://joe:pw#x@host/", "nonsense", "http://[::1", "http://host:99999999/", ""],
)
def test_addresses_that_make_no_sense(address: str) -> None:
    (found,) = look(address)
    assert found["error"]
    assert found["status"] is None
    assert "pw" not in str(found)


def test_a_proxy_with_an_odd_password_shows_none_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://joe:pw#x@127.0.0.1:8")
    (found,) = look("http://127.0.0.2:9/")
    assert found["error"] == "the address, or that of its proxy, makes no sense"


@pytest.mark.parametrize(
    ("address", "suites", "asked"),
    [
        ("http://m/debian/", ("bookworm", "bookworm-updates"), "http://m/debian/dists/bookworm/InRelease"),
        ("http://m/flat", ("/",), "http://m/flat/InRelease"),
        ("http://m/flat", ("./",), "http://m/flat/./InRelease"),
        ("http://m/flat", (), "http://m/flat/InRelease"),
    ],
)
def test_what_apt_asks_for_first(address: str, suites: tuple[str, ...], asked: str) -> None:
    assert network.index_of(address, suites) == asked


def test_the_boxs_own_sources(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("HOME", "/nowhere")
    monkeypatch.setattr(network, "pips_own", lambda _box: "https://pips.example/simple")
    root = plant({
        "/etc/apt/sources.list": "deb http://a.example/d s main\ndeb http://a.example/d s-updates main\n",
        "/etc/apt/sources.list.d/b.list": "deb cdrom:x s\ndeb mirror+https://joe:pw@b.example/list s main\n",
        "/etc/apt/apt.conf": 'Acquire { http::Proxy "http://p.example:3142"; https::Proxy "DIRECT"; }',
    })  # fmt: skip
    asked = network.wanted(Box(str(root)), {"mirrors": [{"what": "w", "address": "http://a.example/d"}]}, {})
    assert [(one.what, one.ask, one.env) for one in asked] == [
        ("w", "http://a.example/d", {}),
        (
            "system packages",
            "https://joe:pw@b.example/list/dists/s/InRelease",
            {"http_proxy": "http://p.example:3142"},
        ),
        ("Python packages", "https://pips.example/simple", {}),
    ]
    assert asked[1].mirror()["address"] == "https://b.example/list"
    configured = network.wanted(Box(str(root)), {}, {"UV_DEFAULT_INDEX": "https://own.example/simple"})
    assert configured[-1].ask == "https://own.example/simple"


def test_a_configuration_of_apt_that_makes_no_sense(plant: Plant) -> None:
    box = Box(str(plant({"/etc/apt/apt.conf": "A {"})))
    assert network.apt_env(box, {"a": "b"}) == {"a": "b"}
    assert [entry["what"] for entry in box.unknown] == ["audit.network.apt"]


def test_pips_own_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    box = Box()

    class Index:
        class PyPI:
            simple_url = "https://pips.example/simple"

    monkeypatch.setattr(importlib, "import_module", lambda _name: Index)
    assert network.pips_own(box) == "https://pips.example/simple"
    monkeypatch.setattr(importlib, "import_module", lambda _name: None)
    assert network.pips_own(box) is None
    assert [entry["what"] for entry in box.unknown] == ["audit.network.index"]


@pytest.mark.parametrize(
    ("files", "state", "value", "why"),
    [
        ({"/etc/resolv.conf": "# x\nsearch lan\nnameserver 192.0.2.1\nnameserver\t2001:db8::1 # y\n"}, "read",
         ["192.0.2.1", "2001:db8::1"], ""),
        ({"/etc/resolv.conf": "nameserver 127.0.0.53\n"}, "read", ["127.0.0.53 (systemd-resolved)"], ""),
        ({"/etc/resolv.conf": "-> ../run/systemd/resolve/stub-resolv.conf",
          "/run/systemd/resolve/stub-resolv.conf": "nameserver 127.0.0.53\n",
          "/run/systemd/resolve/resolv.conf": "nameserver 192.0.2.1\n"}, "read",
         ["127.0.0.53 (systemd-resolved, which asks 192.0.2.1)"], ""),
        ({"/etc/resolv.conf": "search lan\n"}, "absent", None, "it names no server"),
        ({}, "absent", None, "there is no such file"),
        ({"/etc/resolv.conf": "-> /run/gone"}, "error", None, "the link leads nowhere"),
        ({"/etc/resolv.conf/": ""}, "hidden", None, "/etc/resolv.conf: Is a directory"),
    ],
)  # fmt: skip
def test_name_servers(plant: Plant, files: dict[str, str], state: str, value: Any, why: str) -> None:
    found = network.resolvers(Box(str(plant(files))))
    assert (found["state"], found["value"], found["why"]) == (state, value, why)


@given(st.text())
def test_whatever_resolv_conf_holds(text: str) -> None:
    assert all(one in text for one in network.servers(text))


FACTS: dict[str, Any] = {
    "os": {"container": None, "wsl": False, "kernel": "6.1"},
    "gpus": [],
    "driver_version": None,
}


def test_nothing_is_asked_of_the_network_unless_somebody_wants_it(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Sight] = []
    monkeypatch.setattr(
        "provisioner.target.probe.audit.ON_DEMAND", [("network", lambda _, sight: asked.append(sight))]
    )
    monkeypatch.setattr("provisioner.target.probe.audit.SECTIONS", [])
    box = Box(str(plant({})))
    assert audit(box, FACTS, {}) == audit(box, FACTS, {"network": None}) == {}
    assert audit(box, FACTS, {"network": {}, "skip": ["network"]}) == {}
    assert asked == []
    audit(box, FACTS, {"network": {"mirrors": []}})
    assert len(asked) == 1


def test_a_recorded_tree_reaches_nothing(plant: Plant) -> None:
    assert network.mirrors(Box(str(plant({}))), {})["state"] == "hidden"
