from __future__ import annotations

import pytest

from provisioner.errors import UsageError
from provisioner.hosts.target import Become, Target, parse_host, this_machine

GOOD = {
    "gpu-box": Target("gpu-box", "gpu-box"),
    "gpu_1.lab.example.": Target("gpu_1.lab.example.", "gpu_1.lab.example."),
    "ann@gpu-box": Target("gpu-box", "gpu-box", "ann"),
    "ann@10.0.0.7:2222": Target("10.0.0.7-2222", "10.0.0.7", "ann", 2222),
    "gpu:22": Target("gpu-22", "gpu", None, 22),
    "ann@corp.example@bastion": Target("bastion", "bastion", "ann@corp.example"),
    "[fe80::1]:2222": Target("fe80--1-2222", "fe80::1", None, 2222),
    "root@[::1]": Target("--1", "::1", "root"),
    "2001:db8::7": Target("2001-db8--7", "2001:db8::7"),
    "fe80::1%eth0": Target("fe80--1-eth0", "fe80::1%eth0"),
    "ssh://ann@gpu:2200/": Target("gpu-2200", "gpu", "ann", 2200),
}
WHERE = "give an alias of ~/.ssh/config, an address, user@address:port or [IPv6 address]:port"
PORT = "a port is a number from 1 to 65535"
BAD = {
    "": ("--host '' names no machine", WHERE),
    "-oProxyCommand=x": ("--host '-oProxyCommand=x' names no machine", WHERE),
    "a b": ("--host 'a b' names no machine", WHERE),
    "a;b": ("--host 'a;b' names no machine", WHERE),
    "a,b": ("--host 'a,b' names no machine", WHERE),
    "ann@": ("--host 'ann@' names no machine", WHERE),
    "@gpu": ("--host '@gpu': '' is no user name", WHERE),
    "-l@gpu": ("--host '-l@gpu': '-l' is no user name", WHERE),
    "gpu:": ("--host 'gpu:': '' is no port", PORT),
    "gpu:ssh": ("--host 'gpu:ssh': 'ssh' is no port", PORT),
    "gpu:0": ("--host 'gpu:0': '0' is no port", PORT),
    "gpu:65536": ("--host 'gpu:65536': '65536' is no port", PORT),
    "gpu:²": ("--host 'gpu:²': '²' is no port", PORT),
    "[gpu]:22": ("--host '[gpu]:22': 'gpu' in brackets is no IPv6 address", WHERE),
    "[::1": ("--host '[::1': '::1' in brackets is no IPv6 address", WHERE),
    "[::1]22": ("--host '[::1]22': only :port may follow the brackets", WHERE),
    "gpu\n": ("--host 'gpu\\n' names no machine", WHERE),
}


@pytest.mark.parametrize(("text", "target"), GOOD.items(), ids=GOOD.keys())
def test_a_host(text: str, target: Target) -> None:
    assert parse_host(text) == target


@pytest.mark.parametrize(("text", "error"), BAD.items(), ids=map(repr, BAD))
def test_no_host(text: str, error: tuple[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse_host(text)
    assert (caught.value.message, caught.value.hint) == error


def test_this_machine_needs_no_address() -> None:
    assert this_machine() == Target("localhost", None, None, None, "local")


def test_secrets_do_not_show() -> None:
    target = Target("a", become=Become(password="s3cret"), variables={"ansible_password": "s3cret"})
    assert "s3cret" not in repr(target)
