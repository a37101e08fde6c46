from __future__ import annotations

import os
from pathlib import Path

import pytest

from provisioner.target.runtime import uv_errors
from provisioner.target.runtime.process import Done

SPEC = {"path": "/opt/envs/llama", "python": ">=3.14"}

# What uv 0.13.9 said, recorded, and what a person is told.
CASES = {
    "no interpreter, downloads cut off": (
        """error: Failed to download `https://github.com/astral-sh/python-build-standalone/x.tar.gz`
  cause: error sending request for url (https://github.com/astral-sh/python-build-standalone/x.tar.gz)
  cause: client error (Connect)
  cause: dns error
  cause: failed to lookup address information: Name or service not known""",
        (
            "no Python that fits >=3.14: here is Python 3.9.2 (/bin/python3), and uv's own could not be had"
            " (failed to lookup address information: Name or service not known)"
        ),
        "UV_PYTHON_INSTALL_MIRROR",
    ),
    "no interpreter, downloads forbidden": (
        """error: No interpreter found for Python >=3.14 in search path or managed installations

hint: A managed Python download is available for Python >=3.14, but Python downloads are set to 'never'""",
        (
            "no Python that fits >=3.14: here is Python 3.9.2 (/bin/python3), and uv's own could not be had"
            " (No interpreter found for Python >=3.14 in search path or managed installations)"
        ),
        "UV_PYTHON_INSTALL_MIRROR",
    ),
    "wrong hash": (
        """Resolved 1 package in 35ms
error: Failed to download `idna==3.10`
  cause: Hash mismatch for `idna==3.10`

         Expected:
           sha256:0000000000000000000000000000000000000000000000000000000000000000

         Computed:
           sha256:946d195a0d259cbba61165e88e65941f16e9b36ea6ddb97f00452bae8b1287d3""",
        "idna==3.10: the hash is not the locked one (got sha256:946d195a0d25… from http://m.example/simple)",
        "host_base_pypi_index",
    ),
    "refused connection": (
        """error: Failed to fetch: http://127.0.0.1:9/simple/uv/
  cause: error sending request for url (http://127.0.0.1:9/simple/uv/)
  cause: client error (Connect)
  cause: tcp connect error
  cause: Connection refused (os error 111)""",
        "package index not reachable: http://127.0.0.1:9/simple/uv/ (Connection refused (os error 111))",
        "host_base_pypi_index",
    ),
    "no such name": (
        """error: Failed to fetch: http://mirror.invalid/simple/xllamacpp/
  cause: error sending request for url (http://mirror.invalid/simple/xllamacpp/)
  cause: client error (Connect)
  cause: dns error
  cause: failed to lookup address information: Name or service not known""",
        (
            "package index not reachable: http://mirror.invalid/simple/xllamacpp/"
            " (failed to lookup address information: Name or service not known)"
        ),
        "host_base_pypi_index",
    ),
    "a clock that is behind": (
        """error: Failed to fetch: https://m.example/simple/idna/
  cause: error sending request for url (https://m.example/simple/idna/)
  cause: client error (Connect)
  cause: invalid peer certificate: NotValidYet""",
        "http://m.example/simple: this machine's clock is behind (invalid peer certificate: NotValidYet)",
        "sudo hwclock -s",
    ),
    "untrusted certificate": (
        """error: Failed to fetch: https://m.example/simple/idna/
  cause: error sending request for url (https://m.example/simple/idna/)
  cause: client error (Connect)
  cause: invalid peer certificate: UnknownIssuer""",
        "http://m.example/simple: its certificate is not trusted (invalid peer certificate: UnknownIssuer)",
        "host_base_ca_certificates",
    ),
    "no such version": (
        (
            """error: No solution found when resolving dependencies
  cause: Because there is no version of idna==3.10 and you require idna==3.10, we can"""
            " conclude that your requirements are unsatisfiable."
        ),
        "http://m.example/simple has no idna==3.10",
        "host_base_pypi_index",
    ),
    "no such package": (
        """error: No solution found when resolving dependencies
  cause: Because idnaqq was not found in the package registry and you require it, we can conclude""",
        "http://m.example/simple has no idnaqq",
        "host_base_pypi_index",
    ),
    "full disk": (
        """Prepared 17 packages in 156ms
error: Failed to install: typing_extensions-4.16.0-py3-none-any.whl (typing-extensions==4.16.0)
  cause: Failed to copy to `/opt/envs/llama/lib/python3.11/site-packages/typing_extensions.py`
  cause: failed to copy file from /c/typing_extensions.py to /opt/x: No space left on device (os error 28)""",
        (
            "/opt/envs/llama: the disk is full"
            " (while writing /opt/envs/llama/lib/python3.11/site-packages/typing_extensions.py)"
        ),
        "free some disk space",
    ),
    "read-only": (
        """error: Failed to create virtual environment
  cause: failed to create directory `tiny/e2`: Read-only file system (os error 30)""",
        "/opt/envs/llama: the file system is mounted read-only",
        "remount it",
    ),
    "something else": (
        "Resolved 1 package\nerror: the moon is in the wrong house\n",
        "uv failed on /opt/envs/llama: the moon is in the wrong house",
        "log",
    ),
    "nothing": ("", "uv failed on /opt/envs/llama: it said nothing", "log"),
}


@pytest.mark.parametrize(("text", "message", "hint"), CASES.values(), ids=CASES)
def test_uvs_chain_of_causes_becomes_a_line(text: str, message: str, hint: str) -> None:
    error = uv_errors.explain(
        Done(2, text.splitlines()), SPEC, {"UV_DEFAULT_INDEX": "http://m.example/simple"},
        lambda env: ["Python 3.9.2 (/bin/python3)"],
    )  # fmt: skip
    assert error.message == message
    assert hint in (error.hint or "")


def test_interpreters_on_the_path_are_named_once_a_version(tmp_path: Path) -> None:
    for name, version in (
        ("python3", "3.9.2"),
        ("python3.9", "3.9.2"),
        ("python3.8", "3.8.1"),
        ("python3-x", "9"),
    ):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho Python {version}\n")
        program.chmod(0o755)
    (tmp_path / "python3.7").write_text("not a program")
    found = uv_errors.pythons_here({"PATH": f"{tmp_path}:{os.defpath}/nowhere"})
    assert [item for item in found if str(tmp_path) in item] == [
        f"Python 3.8.1 ({tmp_path}/python3.8)",
        f"Python 3.9.2 ({tmp_path}/python3)",
    ]
