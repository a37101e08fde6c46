from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from provisioner.target.runtime.share import server as module
from provisioner.target.runtime.share import words

from .seed import KEY, Clock, Seed, serving

CONTENT = bytes(range(65, 83))  # four blocks and a half
RIGHT = {"Authorization": words.reader(KEY)}
NONCE = "0" * 32


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    return Seed(tmp_path, {"m.gguf": CONTENT, "a b/ü.json": b"{}", "empty": b""})


class Answer:
    """An HTTP answer, read to its end."""

    def __init__(self, url: str, path: str, method: str = "GET", **headers: str) -> None:
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        connection.request(method, path, headers={name.replace("_", "-"): v for name, v in headers.items()})
        got = connection.getresponse()
        self.status, self.headers, self.cut = got.status, got.headers, False
        try:
            self.body = got.read()
        except http.client.IncompleteRead as short:
            self.body, self.cut = short.partial, True
        connection.close()


@pytest.mark.parametrize("path", ["/listing", "/files/m.gguf", "/", "/hello", "/hello?nonce=zz"])
@pytest.mark.parametrize("token", ["", "Bearer", words.reader("another key"), f"Bearer {KEY}"])
def test_without_the_token_nothing_is_told(seed: Seed, path: str, token: str) -> None:
    seed.publish()
    with serving(seed.shelf()) as (_, url):
        answer = Answer(url, path, Authorization=token)
    assert (answer.status, answer.body) == (401, b'{"error": "not for you"}')
    assert words.PROOF not in answer.headers


def test_hello_shows_who_it_is_without_the_token(seed: Seed) -> None:
    with serving(seed.shelf()) as (_, url):
        answer = Answer(url, f"/hello?nonce={NONCE}")
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers[words.PROOF] == words.proof(KEY, NONCE, b"")


def test_the_listing_is_waited_for_and_then_proved(seed: Seed) -> None:
    with serving(seed.shelf(), news=lambda: {"phase": "asking"}) as (_, url):
        early = Answer(url, "/listing", **RIGHT)
        assert (early.status, early.headers["Retry-After"]) == (503, "1")
        assert json.loads(early.body) == {"news": {"phase": "asking"}}
        assert Answer(url, "/files/m.gguf", **RIGHT).status == 503
        seed.list()
        answer = Answer(url, f"/listing?nonce={NONCE}", **RIGHT)
    assert json.loads(answer.body)["pinned"] == {"commit": "c0"}
    assert answer.headers[words.PROOF] == words.proof(KEY, NONCE, answer.body)


@pytest.mark.parametrize(
    ("given", "status", "body", "span"),
    [
        (None, 200, CONTENT, None),
        ("bytes=0-", 206, CONTENT, "bytes 0-17/18"),
        ("bytes=0-17", 206, CONTENT, "bytes 0-17/18"),
        ("bytes=3-5", 206, CONTENT[3:6], "bytes 3-5/18"),
        ("bytes=16-99", 206, CONTENT[16:], "bytes 16-17/18"),
        ("bytes=-4", 206, CONTENT[-4:], "bytes 14-17/18"),
        ("bytes=-99", 206, CONTENT, "bytes 0-17/18"),
        ("bytes=18-", 416, b"", "bytes */18"),
        ("bytes=5-3", 416, b"", "bytes */18"),
        ("bytes=-0", 416, b"", "bytes */18"),
        ("bytes=-", 200, CONTENT, None),
        ("bytes=0-1,3-4", 200, CONTENT, None),
        ("lines=0-1", 200, CONTENT, None),
    ],
)
@pytest.mark.parametrize("stage", ["published", "begun"])
def test_ranges(
    seed: Seed, stage: str, given: str | None, status: int, body: bytes, span: str | None
) -> None:
    if stage == "published":
        seed.publish()
    else:
        seed.list()
        seed.bring("m.gguf", 0, 1, 2, 3, 4)
    more = {"Range": given} if given else {}
    with serving(seed.shelf()) as (_, url):
        head = Answer(url, "/files/m.gguf", "HEAD", **RIGHT, **more)
        answer = Answer(url, "/files/m.gguf", **RIGHT, **more)
    assert (answer.status, answer.body, answer.headers["Content-Range"]) == (status, body, span)
    assert (head.status, head.body, head.headers["Content-Length"]) == (status, b"", str(len(body)))


def test_names_are_quoted_and_empty_files_exist(seed: Seed) -> None:
    seed.publish()
    with serving(seed.shelf()) as (_, url):
        assert Answer(url, "/files/a%20b/%C3%BC.json", **RIGHT).body == b"{}"
        empty = Answer(url, "/files/empty", **RIGHT)
    assert (empty.status, empty.body) == (200, b"")


@pytest.mark.parametrize(
    "name",
    [
        "../../jobs/weights-m/spec.json", "%2e%2e/%2e%2e/secret", "/etc/passwd", "//etc/passwd",
        "..%2f..%2fsecret",
        "manifest.json", ".listing.json", ".begun/x", "", "nothing", "m.gguf%00",
    ],
)  # fmt: skip
def test_only_files_of_the_model_are_given(seed: Seed, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("s3cret")
    (seed.job / "spec.json").write_text("s3cret")
    seed.publish()
    with serving(seed.shelf()) as (_, url):
        answer = Answer(url, f"/files/{name}", **RIGHT)
    assert (answer.status, answer.body) == (404, b'{"error": "no such file"}')


def growing(seed: Seed, clock: Clock, steps: list[Callable[[], None]]) -> Callable[[float], None]:
    """Instead of sleeping: time passes, and the next thing happens on the disk."""
    left = iter(steps)

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        next(left, lambda: None)()

    return sleep


def test_a_range_is_sent_while_it_comes_down(seed: Seed) -> None:
    seed.list()
    clock = Clock()
    steps: list[Callable[[], None]] = [
        lambda: seed.bring("m.gguf", 0),
        lambda: seed.bring("m.gguf", 0, 3),
        lambda: seed.bring("m.gguf", 0, 1, 3),
        lambda: seed.bring("m.gguf", 0, 1, 2, 3, 4),
        lambda: seed.finish("m.gguf"),
    ]
    with serving(seed.shelf(clock), clock=clock, sleep=growing(seed, clock, steps)) as (_, url):
        answer = Answer(url, "/files/m.gguf", **RIGHT, Range="bytes=2-15")
    assert (answer.body, answer.cut) == (CONTENT[2:16], False)


def test_who_waits_for_nothing_is_let_go_after_a_while(seed: Seed) -> None:
    seed.list()
    seed.bring("m.gguf", 0)
    clock = Clock()
    with serving(seed.shelf(clock), clock=clock, sleep=clock.sleep) as (_, url):
        answer = Answer(url, "/files/m.gguf", **RIGHT)
    assert (answer.status, answer.body, answer.cut) == (200, CONTENT[:4], True)
    assert module.STALL_S < clock.now < module.STALL_S * 2


def test_who_waits_while_other_blocks_come_is_kept(seed: Seed) -> None:
    """A slow line brings the wanted block later than 30 s from now, and others meanwhile."""
    seed.files["other"] = bytes(400)
    seed.list()
    seed.bring("m.gguf", 0)
    clock = Clock()
    others = [lambda upto=upto: seed.bring("other", *range(upto)) for upto in range(1, 80)]
    steps = [*others, lambda: seed.bring("m.gguf", 0, 1, 2, 3, 4)]
    with serving(seed.shelf(clock), clock=clock, sleep=growing(seed, clock, steps)) as (_, url):
        answer = Answer(url, "/files/m.gguf", **RIGHT)
    assert answer.body == CONTENT
    assert clock.now > module.STALL_S * 2


def test_a_file_that_turns_out_wrong_ends_early(seed: Seed) -> None:
    seed.list()
    seed.bring("m.gguf", 0)
    clock = Clock()
    steps = [lambda: seed.discard("m.gguf")]
    with serving(seed.shelf(clock), clock=clock, sleep=growing(seed, clock, steps)) as (_, url):
        answer = Answer(url, "/files/m.gguf", **RIGHT)
    assert (answer.body, answer.cut) == (CONTENT[:4], True)


def test_it_ends_by_itself_when_nobody_asks_and_nothing_comes(seed: Seed) -> None:
    seed.publish()
    now, working = [0.0], [True]
    with serving(seed.shelf(), clock=lambda: now[0], at_work=lambda: working[0]) as (server, url):
        assert not server.is_idle()
        now[0] = module.IDLE_S + 1
        assert not server.is_idle()
        working[0] = False
        assert server.is_idle()
        server.serve_until_idle()
        Answer(url, "/files/m.gguf", **RIGHT)
        assert not server.is_idle()
        now[0] *= 2
        server.enter()
        assert not server.is_idle(), "somebody is being served"
        server.leave()
        assert not server.is_idle()


def test_one_connection_serves_many_requests(seed: Seed) -> None:
    seed.publish()
    with serving(seed.shelf()) as (_, url):
        connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=10)
        for start in range(3):
            connection.request("GET", "/files/m.gguf", headers={**RIGHT, "Range": f"bytes={start}-{start}"})
            assert connection.getresponse().read() == CONTENT[start : start + 1]
        connection.close()


def test_a_box_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_v6(family: int, kind: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return real(family, kind)

    monkeypatch.setattr(socket, "socket", without_v6)
    with module.listen() as listener:
        assert listener.family == socket.AF_INET
