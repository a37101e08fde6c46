"""Plan(Facts, Settings) as a table: what is chosen, by which route, or why not."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.compat import Plan, Settings, WhyNot, make_plan
from provisioner.compat.roles import BY_NEED
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import Facts

GPU_24 = {
    "address": "0000:01:00.0",
    "vendor": "0x10de",
    "device": "0x2684",
    "name": "NVIDIA GeForce RTX 4090",
    "memory_bytes": 25_757_220_864,
}
HOME = {
    "code": "/home/u/.local/share/provisioner/code",
    "state": "/home/u/.local/share/provisioner/state",
    "cache": "/c",
}
SYSTEM = {"code": "/opt/provisioner", "state": "/var/lib/provisioner", "cache": "/var/cache/provisioner"}


def facts(**changes: Any) -> Facts:
    """A Debian 12 box with 8 cores, 32 GB and root, changed as a row asks."""
    body: dict[str, Any] = {
        "schema": 1,
        "hostname": "gpu-box",
        "os": {"id": "debian", "version_id": "12", "pretty": "Debian GNU/Linux 12"},
        "python": {"version": "3.11.2", "executable": "/usr/bin/python3"},
        "user": {"name": "root", "uid": 0, "home": "/root"},
        "privilege": "root",
        "cpu": {"cores": 8, "threads": 16},
        "memory": {"total_bytes": 33_000_000_000},
        "places": {"system": SYSTEM, "user": HOME},
        "disks": {
            path: {"total_bytes": 10**12, "free_bytes": 10**11} for path in (*SYSTEM.values(), *HOME.values())
        },
    }
    return Facts.decode(body | changes)


PLAIN_USER = {"user": {"name": "deploy", "uid": 1000, "home": "/home/u"}, "privilege": "none"}
RECEIPT_REQUEST = {
    "profile": "gemma3-270m-transformers",
    "chosen": False,
    "model": None,
    "profile_overrides": {"smoke.tokens": 7},
    "variables": {"host_base_pypi_index": "http://mirror/simple"},
}


def receipt(request: Any, role: str = "smoke_test", written_at: str = "") -> dict[str, Any]:
    """A readable receipt that remembers what was asked for."""
    body: dict[str, Any] = {
        "schema": 1,
        "role": role,
        "role_digest": "d",
        "inputs": {},
        "resources": [],
        "written_at": written_at,
    }
    body["request"] = request
    return {"scope": "system", "role": role, "path": f"/r/{role}.json", "body": body}


NO_GPU = "no NVIDIA GPU found: the CPU route, with gemma3-270m"
USER_DRIVER = (
    "the CPU route, with gemma3-270m, not autoglm-phone-9b-nf4: no NVIDIA driver is loaded → "
    "a driver is installed for the whole system, by root → --scope user → "
    "autoglm-phone-9b-nf4 runs on an NVIDIA GPU"
)
TOO_SMALL = (
    "the CPU route, with gemma3-270m, not autoglm-phone-9b-nf4: "
    "the largest GPU here, RTX 4090, has 8.6 GB of VRAM → autoglm-phone-9b-nf4 needs 11 GB of VRAM"
)
OLD_DRIVER = (
    "driver 470.256.02 is loaded → a driver is installed for the whole system, by root → "
    "--scope user → autoglm-phone-9b needs driver 525 or newer"
)
NO_PYTHON = (
    "python3 is missing → deploy is not root here and sudo does not work → "
    "python3 is installed for the whole system, by root"
)
NO_ROOT = "no NVIDIA driver is loaded → a driver is installed for the whole system, by root → --scope user"
UNREADABLE = "what this machine was asked to be cannot be read from /r/smoke_test.json:"
REMEMBERED = receipt(RECEIPT_REQUEST)


@pytest.mark.parametrize(
    ("changes", "settings", "profile", "scope", "note"),
    [
        ({}, Settings(), "gemma3-270m", "system", NO_GPU),
        ({"gpus": [GPU_24]}, Settings(), "autoglm-phone-9b", "system", None),
        ({"gpus": [GPU_24]}, Settings(scope="user"), "gemma3-270m", "user", USER_DRIVER),
        ({"gpus": [GPU_24], "driver_version": "580.65.06"}, Settings(), "autoglm-phone-9b", "system", None),
        (
            {"gpus": [GPU_24 | {"memory_bytes": 8_589_934_592}], "driver_version": "580.65.06"},
            Settings(),
            "gemma3-270m",
            "system",
            TOO_SMALL,
        ),
        (
            PLAIN_USER,
            Settings(),
            "gemma3-270m",
            "user",
            NO_GPU,
        ),
        ({}, Settings(scope="user"), "gemma3-270m", "user", NO_GPU),
        ({}, Settings(profile="gemma3-270m-transformers"), "gemma3-270m-transformers", "system", None),
        ({}, Settings(model="path:/models/x.gguf"), "x", "system", None),
        ({}, Settings(model="hf:org/tiny@abc"), "tiny", "system", None),
        (
            {"python": None},
            Settings(),
            "gemma3-270m",
            "system",
            "no Python: it comes first, then the machine is looked at and planned for real",
        ),
        ({"receipts": [REMEMBERED]}, Settings(), "gemma3-270m-transformers", "system", None),
        ({"receipts": [REMEMBERED]}, Settings(profile="gemma3-270m"), "gemma3-270m", "system", None),
    ],
)  # fmt: skip
def test_a_plan_is_made(
    changes: dict[str, Any], settings: Settings, profile: str, scope: str, note: str | None
) -> None:
    plan = make_plan(facts(**changes), settings)
    assert isinstance(plan, Plan)
    assert (plan.profile.name, plan.scope, next(iter(plan.notes), None)) == (
        profile,
        scope,
        note or next(iter(plan.notes), None),
    )
    usual = ["host_base", "python_env", "model_weights", "smoke_test"]
    assert [role for role in plan.roles if role not in BY_NEED] == usual
    assert bool(set(plan.roles) & set(BY_NEED)) == (plan.profile.needs_gpu and plan.scope == "system")


@pytest.mark.parametrize(
    ("changes", "settings", "because", "change"),
    [
        (
            {},
            Settings(require_gpu=True),
            "no NVIDIA GPU found → --require-gpu",
            "leave --require-gpu out to take the CPU route; or a machine with an NVIDIA GPU",
        ),
        (
            {"gpus": [GPU_24]},
            Settings(require_gpu=True, scope="user"),
            f"{NO_ROOT} → --require-gpu",
            "leave --require-gpu out to take the CPU route; or leave --scope out",
        ),
        (
            {},
            Settings(profile="autoglm-phone-9b"),
            "no NVIDIA GPU found → autoglm-phone-9b runs on an NVIDIA GPU",
            "take --profile gemma3-270m-transformers, which runs on the CPU; or a machine with an NVIDIA GPU",
        ),
        (
            {"gpus": [GPU_24], "driver_version": "470.256.02"},
            Settings(profile="autoglm-phone-9b", scope="user"),
            OLD_DRIVER,
            "leave --scope out",
        ),
        (
            {"memory": {"total_bytes": 500_000_000}},
            Settings(),
            "0.5 GB of memory here → gemma3-270m needs 1.0 GB of memory",
            "a machine with more memory",
        ),
        (
            {"memory": {"total_bytes": 33_000_000_000, "limit_bytes": 500_000_000}},
            Settings(),
            "0.5 GB of memory here → gemma3-270m needs 1.0 GB of memory",
            "a machine with more memory",
        ),
        (
            {"disks": {SYSTEM["state"]: {"total_bytes": 10**9, "free_bytes": 10**8}}},
            Settings(),
            "0.1 GB free for /var/lib/provisioner → gemma3-270m needs 0.9 GB of disk there",
            "free some space for /var/lib/provisioner",
        ),
        (
            PLAIN_USER,
            Settings(scope="system"),
            "deploy is not root here and sudo does not work → --scope system",
            "say --scope user; or log in as root, or let the user use sudo (with -K to give the password)",
        ),
        (
            PLAIN_USER | {"python": None},
            Settings(),
            NO_PYTHON,
            "log in as root, or let the user use sudo (with -K to give the password); or install python3",
        ),
        (
            {"python": None},
            Settings(scope="user"),
            "python3 is missing → python3 is installed for the whole system, by root → --scope user",
            "leave --scope out; or install python3",
        ),
    ],
)
def test_why_not(changes: dict[str, Any], settings: Settings, because: str, change: str) -> None:
    answer = make_plan(facts(**changes), settings)
    assert isinstance(answer, WhyNot)
    assert (str(answer), answer.change) == (because, change)


def test_a_number_that_nobody_could_read_does_not_block() -> None:
    assert isinstance(make_plan(facts(cpu={}, memory={}, disks={}), Settings()), Plan)


def test_who_chose_to_do_without_root_stays_there() -> None:
    mine = receipt(RECEIPT_REQUEST) | {"scope": "user"}
    mine["body"] = mine["body"] | {"written_at": "2026-02-02T00:00:00Z"}
    system = receipt(RECEIPT_REQUEST)
    system["body"] = system["body"] | {"written_at": "2026-01-01T00:00:00Z"}
    plans = [make_plan(facts(receipts=[system, mine]), Settings(scope=scope)) for scope in ("auto", "system")]
    assert [plan.scope for plan in plans if isinstance(plan, Plan)] == ["user", "system"]


def test_a_bare_up_asks_for_what_the_box_was_last_asked_for() -> None:
    plan = make_plan(facts(receipts=[receipt(RECEIPT_REQUEST)]), Settings())
    assert isinstance(plan, Plan)
    assert plan.request == RECEIPT_REQUEST
    assert plan.roles["smoke_test"]["smoke_test_tokens"] == 7
    assert plan.roles["host_base"]["host_base_pypi_index"] == "http://mirror/simple"


@pytest.mark.parametrize(
    ("changes", "settings", "remembered"),
    [
        ({}, Settings(), "gemma3-270m"),
        ({"python": None}, Settings(), None),
        ({"python": None}, Settings(profile="gemma3-270m-transformers"), "gemma3-270m-transformers"),
        ({}, Settings(model="hf:a/b"), None),
    ],
)
def test_what_a_box_will_remember(
    changes: dict[str, Any], settings: Settings, remembered: str | None
) -> None:
    """Not what was chosen before anybody could look at it: there may be a GPU."""
    plan = make_plan(facts(**changes), settings)
    assert isinstance(plan, Plan)
    assert plan.request["profile"] == remembered


def test_the_last_run_is_the_one_that_is_remembered() -> None:
    """It may have rewritten the receipt of one role only: a new mirror drifts host_base and nothing else."""
    later = RECEIPT_REQUEST | {"variables": {"host_base_pypi_index": "http://other/simple"}}
    asked = (
        receipt(later, "host_base", "2026-01-02T00:00:00Z"),
        receipt(RECEIPT_REQUEST, "smoke_test", "2026-01-01T00:00:00Z"),
    )
    plan = make_plan(facts(receipts=asked), Settings())
    assert isinstance(plan, Plan)
    assert plan.request == later


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        (Settings(), ["https://mirror", {"type": "hf", "repo": "org/this-one"}]),
        (Settings(model="hf:org/another"), ["https://mirror"]),
        (Settings(profile="gemma3-270m"), ["https://mirror"]),
    ],
)
def test_what_was_said_of_one_model_is_not_said_of_the_next(settings: Settings, kept: list[Any]) -> None:
    """A mirror that is another repository would publish its weights under this model's name."""
    asked = RECEIPT_REQUEST | {
        "variables": {
            "model_weights_mirrors": ["https://mirror", {"type": "hf", "repo": "org/this-one"}],
            "model_weights_allow_pickle": True,
            "model_weights_bandwidth": "20MB",
        }
    }
    plan = make_plan(facts(receipts=[receipt(asked)]), settings)
    assert isinstance(plan, Plan)
    variables = plan.roles["model_weights"]
    assert variables["model_weights_mirrors"] == kept
    assert variables["model_weights_allow_pickle"] is (settings == Settings())
    assert variables["model_weights_bandwidth"] == "20MB"


def test_a_remembered_variable_that_no_role_has_any_more_is_left_out() -> None:
    asked = RECEIPT_REQUEST | {"variables": {"host_base_gone": 1, "host_base_no_proxy": "a"}}
    plan = make_plan(facts(receipts=[receipt(asked)]), Settings())
    assert isinstance(plan, Plan)
    assert plan.request["variables"] == {"host_base_no_proxy": "a"}


@pytest.mark.parametrize(
    ("request_", "message", "hint"),
    [
        (
            {"profile": "./mine.yml"},
            "what this machine was asked to be cannot be had here: unknown profile ./mine.yml",
            "; or choose anew: --profile NAME",
        ),
        (
            {"profile": "gemma3-270m", "profile_overrides": {"smoke.gone": 1}},
            "what this machine was asked to be cannot be had here: unknown key smoke.gone",
            "; or choose anew: --profile NAME",
        ),
        (
            {"profile": 5},
            f"{UNREADABLE} Expected `str | null`, got `int` - at `$.profile`",
            "say it again: --profile NAME, and --set for what was set",
        ),
        (
            {"variables": []},
            f"{UNREADABLE} Expected `object`, got `array` - at `$.variables`",
            "say it again: --profile NAME, and --set for what was set",
        ),
    ],
)
def test_a_memory_of_no_use_is_this_machines_trouble_and_can_be_replaced(
    request_: dict[str, Any], message: str, hint: str
) -> None:
    box = facts(receipts=[receipt(request_)])
    with pytest.raises(ProvisionError) as caught:
        make_plan(box, Settings())
    assert not isinstance(caught.value, UsageError)  # that would end the run for all machines
    assert caught.value.message == message
    assert str(caught.value.hint).endswith(hint)
    assert isinstance(make_plan(box, Settings(profile="gemma3-270m")), Plan)


def test_the_plan_follows_the_scope_everywhere() -> None:
    plan = make_plan(facts(**PLAIN_USER), Settings())
    assert isinstance(plan, Plan)
    values = [value for role in plan.roles.values() for value in role.values() if isinstance(value, str)]
    assert [value for value in values if value.startswith(("/opt", "/var"))] == []


def test_a_mistyped_variable_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        make_plan(facts(), Settings(variables={"host_base_pypi_indx": "x"}))
    assert (caught.value.message, caught.value.hint) == (
        "unknown variable host_base_pypi_indx",
        "did you mean host_base_pypi_index?",
    )


def test_a_mirror_that_is_none_is_refused_before_anything_changes() -> None:
    with pytest.raises(UsageError, match="model_weights_mirrors: 'mirror' is no source"):
        make_plan(facts(), Settings(model="hf:org/tiny", variables={"model_weights_mirrors": ["mirror"]}))


def test_a_profile_brings_its_mirrors_and_a_quantisation_its_runtime() -> None:
    box = facts(gpus=[GPU_24 | {"memory_bytes": 30_000_000_000}], driver_version="580.65.06")
    plan = make_plan(box, Settings(profile="autoglm-phone-9b"))
    assert isinstance(plan, Plan)
    assert plan.roles["model_weights"]["model_weights_mirrors"] == [
        {"type": "modelscope", "repo": "ZhipuAI/AutoGLM-Phone-9B", "revision": "master"}
    ]
    gguf = make_plan(box, Settings(model="hf:org/tiny:Q4_K_M"))
    assert isinstance(gguf, Plan)
    assert (gguf.profile.runtime, gguf.roles["model_weights"]["model_weights_name"]) == (
        "llama",
        "tiny-Q4_K_M",
    )


@pytest.mark.parametrize(
    ("place", "what"), [("/var/lib/provisioner", "weights"), ("/opt/provisioner", "environments")]
)
def test_what_lies_on_a_disk_of_windows_is_said(place: str, what: str) -> None:
    disk = {"total_bytes": 10**12, "free_bytes": 10**11, "fs": "9p"}
    for windows in (True, False):
        disks = dict.fromkeys(SYSTEM.values(), disk) | {place: {**disk, "windows": windows}}
        plan = make_plan(facts(disks=disks), Settings())
        assert isinstance(plan, Plan)
        said = [note for note in plan.notes if "Windows" in note]
        note = f"{what} lie on a disk of Windows ({place}), slow from WSL: let it lead to WSL's own disk"
        assert said == ([note] if windows else [])
