"""The one seam where jobs start other programs; tests put their own in its place."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence

from ..errors import TargetError
from . import pip_config

# To the last "@": a password may have one in it.
_URL_LOGIN = re.compile(r"(?<=://)[^/\s\"']+@")
_KEEP_LINES = 200

# Descriptors that children of a job inherit. The job's lock is one: while a child of a killed job still
# writes, the lock stays held, and nobody else works on the same thing.
inherited: List[int] = []


class Done(NamedTuple):
    """How a program ended: its exit status and the last lines it said."""

    rc: int
    lines: List[str]

    def text(self) -> str:
        """Everything kept, to search for a cause in."""
        return "\n".join(self.lines)


Runner = Callable[..., Done]


def without_login(text: str) -> str:
    """The text with names and passwords in URLs taken out."""
    return _URL_LOGIN.sub("***@", text)


def run(
    argv: Sequence[str],
    env: Mapping[str, str],
    on_line: Optional[Callable[[str], bool]] = None,
    cwd: Optional[str] = None,
) -> Done:
    """Runs a program to its end; each line goes to this process's standard output, which is the job's log.

    A line that `on_line` answers True for is its own and stays out of the log.
    """
    print("+ " + without_login(" ".join(argv)), flush=True)
    try:
        process = subprocess.Popen(
            list(argv), env=dict(env), cwd=cwd, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=tuple(inherited),
        )  # fmt: skip
    except OSError as error:
        raise TargetError(f"cannot start {argv[0]}: {error.strerror}") from error
    kept: List[str] = []
    assert process.stdout is not None
    with process:
        for line in _lines(process.stdout.fileno()):
            if on_line is not None and on_line(line):
                continue
            shown = without_login(line)
            print(shown, flush=True)
            kept.append(shown)
            del kept[:-_KEEP_LINES]
    return Done(process.returncode, kept)


def _lines(descriptor: int):  # type: ignore[no-untyped-def]
    """Lines as they come; a carriage return ends one too, since progress is drawn with them."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while True:
            selector.select()
            block = os.read(descriptor, 65536)
            if not block:
                break
            *whole, rest = re.split(rb"[\r\n]+", rest + block)
            for line in whole:
                if line.strip():
                    yield line.decode("utf-8", "replace").rstrip()
    if rest.strip():
        yield rest.decode("utf-8", "replace").rstrip()


_INHERITED_NAMES = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_REQUIRE_VIRTUALENV")
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def network_env(network: Mapping[str, object], base: Mapping[str, str]) -> Dict[str, str]:
    """`base` with the settings {ca_bundle, http_proxy, https_proxy, no_proxy, pypi_index, find_links,
    hub_endpoint} in the variables that uv, pip and the hub's client read.

    Without a bundle of its own the machine's is used: it may carry a company's authority that the bundle
    inside uv lacks. An index that only pip's configuration names is uv's too.
    """
    env = {name: value for name, value in base.items() if name not in _INHERITED_NAMES}
    env.update(LC_ALL="C.UTF-8", PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", NO_COLOR="1")

    def put(key: str, *names: str) -> None:
        value = network.get(key)
        if isinstance(value, (list, tuple)):
            value = ",".join(str(item) for item in value)
        if value:
            env.update({name: str(value) for name in names})

    bundle = (
        network.get("ca_bundle")
        or env.get("SSL_CERT_FILE")
        or next(filter(os.path.isfile, _SYSTEM_BUNDLES), None)
    )
    if network.get("ca_bundle") and not os.path.isfile(str(bundle)):
        raise TargetError(
            f"{bundle}: no such certificate bundle", "correct host_base_ca_certificates or remove it"
        )
    if bundle:
        env.update({name: str(bundle) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT")})
    put("http_proxy", "http_proxy", "HTTP_PROXY")
    put("https_proxy", "https_proxy", "HTTPS_PROXY")
    put("no_proxy", "no_proxy", "NO_PROXY")
    put("pypi_index", "UV_DEFAULT_INDEX", "PIP_INDEX_URL")
    index = pip_config.index_for_uv(env)
    if index:
        env["UV_DEFAULT_INDEX"] = index
    put("hub_endpoint", "HF_ENDPOINT")
    put("find_links", "UV_FIND_LINKS")
    if network.get("find_links"):
        # pip separates by spaces what uv separates by commas.
        links = env["UV_FIND_LINKS"].split(",")
        env["PIP_FIND_LINKS"] = " ".join(
            Path(link).as_uri() if link.startswith("/") and " " in link else link for link in links
        )
    return env
