from __future__ import annotations

import socket
import threading
from pathlib import Path

from provisioner.target.runtime.share.reach import reach

from .seed import KEY, Seed, serving


def test_only_who_holds_the_key_counts(tmp_path: Path) -> None:
    with serving(Seed(tmp_path, {}).shelf()) as (_, url):
        assert reach([url], KEY) == [url]
        assert reach([url], "another") == []


def test_who_does_not_answer_is_not_waited_for(tmp_path: Path) -> None:
    """One listens and is silent, one refuses, one has no such name, one answers with something else."""
    nothing = socket.create_server(("127.0.0.1", 0))
    other = socket.create_server(("127.0.0.1", 0))

    def say() -> None:
        connection, _ = other.accept()
        connection.recv(1000)
        connection.sendall(b"220 mail.example ESMTP\r\n")
        connection.close()

    threading.Thread(target=say, daemon=True).start()
    urls = [f"http://127.0.0.1:{sock.getsockname()[1]}" for sock in (nothing, other)]
    urls += ["http://127.0.0.1:9", "http://name.invalid:9", "http://[fe80::1%nothing]:9"]
    with serving(Seed(tmp_path, {}).shelf()) as (_, url):
        assert reach([*urls, url], KEY, seconds=0.2) == [url]
    nothing.close()
    other.close()
