"""What OpenSSH prints, word for word. What a real client can be brought to is in test_ssh_loopback.py too."""

from __future__ import annotations

import pytest

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.diagnose import diagnose
from provisioner.hosts.errors import ConnectionLost, HostKeyChanged, HostKeyUnknown, KeyRefused, Unreachable
from provisioner.hosts.process import Finished
from provisioner.hosts.target import Target

CHANGED = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\r
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!\r
Someone could be eavesdropping on you right now (man-in-the-middle attack)!\r
It is also possible that a host key has just been changed.\r
The fingerprint for the ED25519 key sent by the remote host is\r
SHA256:0M0yJ1oHkMAl3mTJNUVIb9gZ0Zq2v0Xv2rZqVhM0b5k.\r
Please contact your system administrator.\r
Add correct host key in /home/ann/.ssh/known_hosts to get rid of this message.\r
Offending ECDSA key in /home/ann/.ssh/known_hosts:12\r
Host key for [10.0.0.7]:2222 has changed and you have requested strict checking.\r
Host key verification failed.\r
"""
BAD_KEY = """\
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@         WARNING: UNPROTECTED PRIVATE KEY FILE!          @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
Permissions 0644 for '/home/ann/.ssh/id_ed25519' are too open.
It is required that your private key files are NOT accessible by others.
This private key will be ignored.
Load key "/home/ann/.ssh/id_ed25519": bad permissions
ann@10.0.0.7: Permission denied (publickey).
"""
LOGIN = "ssh -p 2222 ann@10.0.0.7"
SPELLING = "check the spelling, the Host blocks of ~/.ssh/config and DNS"
SWITCHED = f"check that it is switched on, the address, and firewalls on the way; `{LOGIN}` must work"
NETWORK = f"check that it is switched on, and the network or VPN between; `{LOGIN}` must work"
PORT = f"check the port, and that sshd runs there; `{LOGIN}` must work"
HANGS_UP = (
    f"is that port SSH? It may be starting, overloaded or blocking this address (fail2ban); try `{LOGIN}`"
)
LET_IN = f"make `{LOGIN}` work without a password: ssh-copy-id, ssh-add, or the right user (user@host)"
AGAIN = "run the same command again: what runs on the box goes on, and is not started twice"
CONFIRM = f"connect once with `{LOGIN}` and compare the fingerprint, or pass --accept-new-host-keys"
MEND = "mend that file; `ssh -G 10.0.0.7` shows when it is right"

BEFORE: dict[str, tuple[type[ProvisionError], str, str]] = {
    "ssh: Could not resolve hostname gpu-bx: Name or service not known\r\n": (
        Unreachable,
        "the name gpu-bx does not resolve",
        SPELLING,
    ),
    "ssh: Could not resolve hostname gpu-bx: Temporary failure in name resolution\r\n": (
        Unreachable,
        "the name gpu-bx does not resolve",
        SPELLING,
    ),
    "ssh: Could not resolve hostname gpu-bx: nodename nor servname provided, or not known\r\n": (
        Unreachable,
        "the name gpu-bx does not resolve",
        SPELLING,
    ),
    "ssh: connect to host 10.0.0.7 port 2222: Connection refused\r\n": (
        Unreachable,
        "nothing listens on its SSH port",
        PORT,
    ),
    "channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed\r\n"
    "Connection closed by UNKNOWN port 65535\r\n": (Unreachable, "nothing listens on its SSH port", PORT),
    "ssh: connect to host 10.0.0.7 port 2222: Connection timed out\r\n": (
        Unreachable,
        "no answer on its SSH port",
        SWITCHED,
    ),
    "ssh: connect to host 10.0.0.7 port 2222: Operation timed out\r\n": (
        Unreachable,
        "no answer on its SSH port",
        SWITCHED,
    ),
    "Connection timed out during banner exchange\r\nConnection to 10.0.0.7 port 2222 timed out\r\n": (
        Unreachable,
        "no answer on its SSH port",
        SWITCHED,
    ),
    "ssh: connect to host 10.0.0.7 port 2222: No route to host\r\n": (
        Unreachable,
        "there is no way to it (No route to host)",
        NETWORK,
    ),
    "ssh: connect to host 10.0.0.7 port 2222: Network is unreachable\r\n": (
        Unreachable,
        "there is no way to it (Network is unreachable)",
        NETWORK,
    ),
    "kex_exchange_identification: Connection closed by remote host\r\n"
    "Connection closed by 10.0.0.7 port 2222\r\n": (Unreachable, "it hangs up before the login", HANGS_UP),
    "kex_exchange_identification: read: Connection reset by peer\r\n"
    "Connection reset by 10.0.0.7 port 2222\r\n": (Unreachable, "it hangs up before the login", HANGS_UP),
    "Unable to negotiate with 10.0.0.7 port 2222: no matching host key type found. Their offer: x\r\n": (
        Unreachable,
        "ssh cannot agree with it: no matching host key type found",
        "its SSH server is too old for this client; allow what it offers for it in ~/.ssh/config",
    ),
    "ann@10.0.0.7: Permission denied (publickey,password).\r\n": (
        KeyRefused,
        "no key of ours is accepted (it takes publickey,password)",
        LET_IN,
    ),
    "Received disconnect from 10.0.0.7 port 2222:2: Too many authentication failures\r\n"
    "Disconnected from 10.0.0.7 port 2222\r\n": (
        KeyRefused,
        "the agent offered too many keys before the right one",
        "set IdentityFile and IdentitiesOnly yes for it in ~/.ssh/config",
    ),
    BAD_KEY: (
        KeyRefused,
        "ssh ignored a private key that others can read",
        f"chmod 600 the key, then try `{LOGIN}`",
    ),
    CHANGED: (
        HostKeyChanged,
        "shows another host key than the one on record (/home/ann/.ssh/known_hosts:12)",
        (
            "if the box was installed anew: ssh-keygen -f '/home/ann/.ssh/known_hosts' -R '[10.0.0.7]:2222', "
            "then connect once with ssh; if not, find out who answers there"
        ),
    ),
    "Host key verification failed.\r\n": (
        HostKeyUnknown,
        "its host key is not known here yet",
        CONFIRM,
    ),
    "No ED25519 host key is known for [10.0.0.7]:2222 and you have requested strict checking.\r\n"
    "Host key verification failed.\r\n": (HostKeyUnknown, "its host key is not known here yet", CONFIRM),
    "/home/ann/.ssh/config: line 3: Bad configuration option: h\r\n"
    "/home/ann/.ssh/config: terminating, 1 bad configuration options\r\n": (
        UsageError,
        "ssh does not accept its configuration: /home/ann/.ssh/config: line 3: Bad configuration option: h",
        MEND,
    ),
    "Bad owner or permissions on /home/ann/.ssh/config\r\n": (
        UsageError,
        "ssh does not accept its configuration: Bad owner or permissions on /home/ann/.ssh/config",
        MEND,
    ),
    "Can't open user config file lab.conf: No such file or directory\r\n": (
        UsageError,
        (
            "ssh does not accept its configuration: "
            "Can't open user config file lab.conf: No such file or directory"
        ),
        MEND,
    ),
    "something never seen before\r\n": (
        Unreachable,
        "ssh failed: something never seen before",
        f"`{LOGIN}` must work first; with -v it says more",
    ),
    "": (Unreachable, "ssh failed without a word", f"`{LOGIN}` must work first; with -v it says more"),
}
AFTER = [
    "Connection to 10.0.0.7 closed by remote host.\r\n",
    "client_loop: send disconnect: Broken pipe\r\n",
    "Timeout, server 10.0.0.7 not responding.\r\n",
    "packet_write_wait: Connection to 10.0.0.7 port 2222: Broken pipe\r\n",
    "mux_client_request_session: read from master failed: Broken pipe\r\n",
    "",
]
TARGET = Target("gpu", "10.0.0.7", "ann", 2222)


def said(error: ProvisionError | None) -> tuple[type[ProvisionError], str, str | None] | None:
    return (type(error), error.message, error.hint) if error else None


@pytest.mark.parametrize(("stderr", "expected"), BEFORE.items(), ids=range(len(BEFORE)))
def test_before_the_login(stderr: str, expected: tuple[type[ProvisionError], str, str]) -> None:
    kind, message, hint = expected
    finished = Finished(255, b"", stderr.encode())
    assert said(diagnose(TARGET, finished, arrived=False)) == (kind, f"gpu: {message}", hint)


@pytest.mark.parametrize("stderr", AFTER)
def test_after_the_login(stderr: str) -> None:
    finished = Finished(255, b"", stderr.encode())
    assert said(diagnose(TARGET, finished, arrived=True)) == (
        ConnectionLost,
        "gpu: the connection broke off",
        AGAIN,
    )


def test_a_cloud_image_that_wants_its_own_user() -> None:
    stdout = b'Please login as the user "ubuntu" rather than the user "root".\n\n'
    assert said(diagnose(TARGET, Finished(142, stdout, b""), arrived=False)) == (
        KeyRefused,
        "gpu: root may not log in there",
        "use ubuntu@10.0.0.7",
    )


@pytest.mark.parametrize(("code", "arrived"), [(0, False), (127, False), (0, True), (137, True)])
def test_what_is_not_ssh_s_fault(code: int, arrived: bool) -> None:
    assert diagnose(TARGET, Finished(code, b"", b"sh: not found\n"), arrived=arrived) is None
