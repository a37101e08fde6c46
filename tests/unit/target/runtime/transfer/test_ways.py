"""Redirects, tokens, proxies and certificates: who gets to see what."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provisioner.target.clock import HINT
from provisioner.target.errors import TargetError
from provisioner.target.runtime.transfer import NotFetched, net
from provisioner.target.runtime.transfer.net import Net, Origin, content_range, origin_of
from tests.hub.server import Fault, Hub, Kind, serve
from tests.hub.tls import authority, serving

from .conftest import QUICK, SIZE, Bench

TOKEN = (("Authorization", "Bearer hf_secret"),)
PATH = "/model.gguf"


def pieces(hub: Hub) -> int:
    return len([seen for seen in hub.log if seen.sent])


def test_a_token_stays_with_its_host(bench: Bench) -> None:
    with serve(bench.hub.files) as cdn:
        bench.hub.faults.append(Fault(Kind.REDIRECT, to=cdn.url, times=None))
        bench.fetch(bench.remote(headers=TOKEN))
        assert bench.whole()
        assert bench.hub.headers_of(PATH, "Authorization") == {"Bearer hf_secret"}
        assert cdn.headers_of(PATH, "Authorization") == {""}
        # The address that it led to serves the other pieces too.
        assert len(bench.hub.log) <= QUICK.connections < pieces(cdn)


def test_a_token_goes_along_on_the_same_host(bench: Bench) -> None:
    bench.hub.files["/deep" + PATH] = bench.contents["model.gguf"]
    bench.hub.faults.append(Fault(Kind.REDIRECT, PATH, to=f"{bench.hub.url}/deep", times=None, status=307))
    bench.fetch(bench.remote(headers=TOKEN))
    assert bench.whole()
    assert bench.hub.headers_of("/deep" + PATH, "Authorization") == {"Bearer hf_secret"}


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_signed_address_that_expires_is_asked_for_again(bench: Bench, status: int) -> None:
    with serve(bench.hub.files) as cdn:
        bench.hub.faults.append(Fault(Kind.REDIRECT, to=cdn.url, times=None))
        one = QUICK._replace(connections=1)
        # The fourth request to it is refused, once.
        real = cdn.due
        count = [0]

        def due(method: str, path: str) -> list[Fault]:
            count[0] += 1
            return [Fault(Kind.STATUS, status=status)] if count[0] == 4 else real(method, path)

        cdn.due = due  # type: ignore[method-assign]
        bench.fetch(options=one)
        assert bench.whole()
        assert len(bench.hub.log) == 2


def test_a_signed_address_that_is_refused_at_once_is_final(bench: Bench) -> None:
    with serve(bench.hub.files) as cdn:
        bench.hub.faults.append(Fault(Kind.REDIRECT, to=cdn.url, times=None))
        cdn.faults.append(Fault(Kind.STATUS, status=403, times=None))
        with pytest.raises(NotFetched, match="the server answers 403 Forbidden") as caught:
            bench.fetch()
        assert caught.value.status == 403


def test_redirects_without_end_are_left(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.REDIRECT, to=bench.hub.url, times=None))
    with pytest.raises(NotFetched, match="from one address to the next without end"):
        bench.fetch()


def test_no_redirect_leads_off_the_web(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.REDIRECT, to="file:///etc", times=None))
    with pytest.raises(NotFetched, match="it leads to file:, which is no way"):
        bench.fetch()


def test_errors_show_no_login_and_no_signature(bench: Bench) -> None:
    address = f"{bench.hub.url}{PATH}?Signature=secret".replace("://", "://me:pass@")
    bench.hub.faults.append(Fault(Kind.STATUS, status=404, times=None))
    with pytest.raises(NotFetched) as caught:
        bench.fetch(bench.remote("model.gguf", address, headers=TOKEN))
    assert str(caught.value) == f"model.gguf from {bench.hub.url}{PATH}: the server answers 404 Not Found"
    assert bench.hub.headers_of(PATH, "Authorization") == {"Bearer hf_secret"}


def test_a_login_in_an_address_is_used(bench: Bench) -> None:
    bench.fetch(bench.remote("model.gguf", f"{bench.hub.url}{PATH}".replace("://", "://me:p%40ss@")))
    assert bench.hub.headers_of(PATH, "Authorization") == {"Basic bWU6cEBzcw=="}


# --- TLS --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost, which is its own authority."""
    return authority(tmp_path_factory.mktemp("tls") / "localhost.pem")


@pytest.fixture
def secure(bench: Bench, certificate: Path) -> Iterator[Hub]:
    with serve(bench.hub.files, tls=serving(certificate)) as hub:
        yield hub


def test_a_bundle_of_ones_own_is_trusted(bench: Bench, secure: Hub, certificate: Path) -> None:
    bench.fetch(bench.remote("model.gguf", secure.url + PATH), env={"SSL_CERT_FILE": str(certificate)})
    assert bench.whole()
    assert secure.total == SIZE


def test_a_certificate_of_nobody_is_not(bench: Bench, secure: Hub) -> None:
    with pytest.raises(NotFetched, match="its certificate is not trusted: self-signed certificate"):
        bench.fetch(bench.remote("model.gguf", secure.url + PATH))
    assert secure.log == []


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "certificate is not yet valid",
            f"this machine's clock is behind (certificate is not yet valid): {HINT}",
        ),
        ("certificate has expired", "its certificate is not trusted: certificate has expired"),
    ],
)
def test_a_certificate_of_the_future_tells_of_the_clock(said: str, words: str) -> None:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = said
    assert net.words_of(error, 1.0) == words


def test_a_bundle_that_is_not_there_is_named(bench: Bench, secure: Hub) -> None:
    with pytest.raises(TargetError, match=r"/nowhere/ca\.pem: no certificate bundle"):
        bench.fetch(bench.remote("model.gguf", secure.url + PATH), env={"SSL_CERT_FILE": "/nowhere/ca.pem"})


def test_with_a_token_nothing_leaves_encryption(bench: Bench, secure: Hub, certificate: Path) -> None:
    secure.faults.append(Fault(Kind.REDIRECT, to=bench.hub.url, times=None))
    env = {"SSL_CERT_FILE": str(certificate)}
    with pytest.raises(NotFetched, match=r"it leads to http://127\.0\.0\.1:\d+/model\.gguf, without encry"):
        bench.fetch(bench.remote("model.gguf", secure.url + PATH, headers=TOKEN), env=env)
    assert bench.hub.log == []


# --- proxies ----------------------------------------------------------------------------------------------


@contextmanager
def tunnel() -> Iterator[tuple[str, list[str]]]:
    """A proxy for CONNECT: its address, and the heads of what it was asked."""
    heads: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while block := source.recv(65536):
                sink.sendall(block)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def one(client: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(4096)
        heads.append(head.decode())
        host, _, port = heads[-1].split()[1].rpartition(":")
        with client, socket.create_connection((host, int(port))) as server:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=pump, args=(server, client))
            back.start()
            pump(client, server)
            back.join()

    def accept() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=one, args=(client,)))
            threads[-1].start()

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://me:p%40ss@127.0.0.1:{listener.getsockname()[1]}", heads
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for thread in [accepting, *threads]:
            thread.join()


def test_https_goes_through_a_tunnel(bench: Bench, secure: Hub, certificate: Path) -> None:
    with tunnel() as (proxy, heads):
        env = {"SSL_CERT_FILE": str(certificate), "https_proxy": proxy}
        bench.fetch(bench.remote("model.gguf", secure.url + PATH, headers=TOKEN), env=env)
    assert bench.whole()
    assert 1 <= len(heads) <= QUICK.connections
    for head in heads:
        assert head.startswith(f"CONNECT {secure.url.removeprefix('https://')} HTTP/1.")
        assert "Proxy-Authorization: Basic bWU6cEBzcw==" in head
        assert "hf_secret" not in head
    assert secure.headers_of(PATH, "Proxy-Authorization") == {""}


def test_http_goes_through_a_proxy(bench: Bench) -> None:
    """The hub serves as the proxy: what it is asked is a whole address."""
    address = bench.hub.url.replace("://", "://me:p%40ss@")
    bench.fetch(bench.remote("model.gguf", f"http://elsewhere.invalid{PATH}"), env={"HTTP_PROXY": address})
    assert bench.whole()
    assert bench.hub.headers_of(PATH, "Proxy-Authorization") == {"Basic bWU6cEBzcw=="}
    assert bench.hub.headers_of(PATH, "Host") == {"elsewhere.invalid"}


def test_a_proxy_of_another_kind_is_named(bench: Bench) -> None:
    with pytest.raises(TargetError, match=r"socks5://proxy\.lan: no proxy that downloads can use"):
        bench.fetch(env={"http_proxy": "socks5://me:pass@proxy.lan"})


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("", False), ("*", True), ("hub.lan", True), ("lan", True), (".lan", True), ("*.lan", True),
        ("other.lan, hub.lan", True), ("hub.lan:8080", True), ("hub.lan:80", False), ("ub.lan", False),
    ],
)  # fmt: skip
def test_who_is_reached_without_a_proxy(no_proxy: str, direct: bool) -> None:
    net = Net({"http_proxy": "proxy.lan:3128", "no_proxy": no_proxy})
    assert (net.proxy(Origin("http", "hub.lan", 8080)) is None) == direct


@pytest.mark.parametrize(
    ("no_proxy", "direct"),
    [
        ("10.0.0.0/8", True),
        ("10.1.2.3", True),
        ("10.1.2.3:80", True),
        ("192.168.0.0/16", False),
        ("::1", False),
    ],
)
def test_networks_are_reached_without_a_proxy(no_proxy: str, direct: bool) -> None:
    net = Net({"ALL_PROXY": "http://proxy.lan", "NO_PROXY": no_proxy})
    assert (net.proxy(Origin("http", str(ipaddress.ip_address("10.1.2.3")), 80)) is None) == direct


def test_what_answers_and_addresses_say() -> None:
    assert origin_of("https://Hub.LAN/x") == ("https", "hub.lan", 443)
    with pytest.raises(ValueError, match="ftp://hub/x is no http or https address"):
        origin_of("ftp://me:pass@hub/x?token=1")
    assert content_range("bytes 0-9/100") == (0, 9, 100)
    assert content_range("bytes */100") == (None, None, 100)
    assert content_range("bytes 0-9/*") == (0, 9, None)
    assert content_range("lines 0-9/100") == content_range(None) == (None, None, None)
