"""Links led by update-alternatives, which is emulated; its words are those of dpkg 1.22 and of chkconfig."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import alternatives

from .boxes import FakeBox

CUDA = alternatives.Choice("cuda", "/usr/local/cuda", "/usr/local/cuda-12.4", 124)


class Alternatives:
    """update-alternatives, as far as it is used."""

    def __init__(self, box: FakeBox) -> None:
        self.box, self.priorities, self.value, self.manual = box, dict[str, int](), "", False
        box.program("update-alternatives", self.run)

    def run(self, do: str, *words: str) -> tuple[int, list[str]]:
        if do == "--query":
            return self.query()
        if do == "--install":
            self.priorities[words[2]] = int(words[3])
            if not self.manual:
                self.value = max(self.priorities, key=lambda path: self.priorities[path])
        else:
            assert do == "--set"
            self.value, self.manual = words[1], True
        for place, target in (
            ("/usr/local/cuda", "/etc/alternatives/cuda"),
            ("/etc/alternatives/cuda", self.value),
        ):
            path = self.box.path(place)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to(target)
        return 0, []

    def query(self) -> tuple[int, list[str]]:
        if not self.priorities:
            return 2, ["update-alternatives: error: no alternatives for cuda"]
        lines = ["Name: cuda", "Link: /usr/local/cuda", f"Status: {'manual' if self.manual else 'auto'}"]
        lines += [f"Value: {self.value}"]
        for path, priority in self.priorities.items():
            lines += ["", f"Alternative: {path}", f"Priority: {priority}"]
        return 0, lines


@pytest.fixture
def box(tmp_path: Path) -> FakeBox:
    box = FakeBox(tmp_path)
    for version in ("12.4", "13.1"):
        box.path(f"/usr/local/cuda-{version}").mkdir(parents=True)
    return box


def asked(box: FakeBox) -> list[str]:
    return [line for line in box.ran if "--query" not in line]


def test_the_first_one_is_led_to_and_stays_emulated(box: FakeBox) -> None:
    Alternatives(box)

    assert alternatives.lead(box.host, CUDA, check=True)
    assert asked(box) == []
    assert alternatives.lead(box.host, CUDA)
    assert not alternatives.lead(box.host, CUDA)

    # Nobody chose: a newer one that comes by itself takes over, as its packages mean it to.
    assert asked(box) == ["update-alternatives --install /usr/local/cuda cuda /usr/local/cuda-12.4 124"]


def test_beside_a_newer_one_it_is_chosen_emulated(box: FakeBox) -> None:
    there = Alternatives(box)
    there.run("--install", "/usr/local/cuda", "cuda", "/usr/local/cuda-13.1", "131")

    assert alternatives.lead(box.host, CUDA)
    assert not alternatives.lead(box.host, CUDA)

    assert asked(box)[1:] == ["update-alternatives --set cuda /usr/local/cuda-12.4"]
    assert (there.value, there.manual) == ("/usr/local/cuda-12.4", True)


def test_what_its_packages_registered_is_not_registered_again_emulated(box: FakeBox) -> None:
    Alternatives(box).run("--install", "/usr/local/cuda", "cuda", "/usr/local/cuda-12.4", "124")

    assert not alternatives.lead(box.host, CUDA)


def test_a_choice_of_another_is_changed_emulated(box: FakeBox) -> None:
    there = Alternatives(box)
    there.priorities = {"/usr/local/cuda-12.4": 124}
    there.run("--install", "/usr/local/cuda", "cuda", "/usr/local/cuda-13.1", "131")
    there.run("--set", "cuda", "/usr/local/cuda-13.1")

    assert alternatives.lead(box.host, CUDA)
    assert asked(box) == ["update-alternatives --set cuda /usr/local/cuda-12.4"]


def test_a_link_made_by_hand_is_taken_over_emulated(box: FakeBox) -> None:
    there = Alternatives(box)
    alternatives.lead(box.host, CUDA)
    link = box.path("/usr/local/cuda")
    link.unlink()
    link.symlink_to("/opt/mine")

    assert alternatives.lead(box.host, CUDA)
    assert not alternatives.lead(box.host, CUDA)
    assert there.value == "/usr/local/cuda-12.4"
    assert str(link.readlink()) == "/etc/alternatives/cuda"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_link_is_refused_and_kept_emulated(kind: str, box: FakeBox) -> None:
    Alternatives(box)
    if kind == "file":
        box.write("/usr/local/cuda", "mine")
    else:
        box.path("/usr/local/cuda").mkdir()

    with pytest.raises(TargetError) as refused:
        alternatives.lead(box.host, CUDA)

    assert refused.value.message == "/usr/local/cuda is no link but a folder or a file of somebody's own"
    assert asked(box) == []


def test_what_is_not_there_cannot_be_led_to_emulated(box: FakeBox) -> None:
    Alternatives(box)
    absent = CUDA._replace(path="/usr/local/cuda-12.8")

    assert alternatives.lead(box.host, absent, check=True)
    with pytest.raises(TargetError) as refused:
        alternatives.lead(box.host, absent)

    assert refused.value.message == "/usr/local/cuda-12.8 is not there, so /usr/local/cuda cannot lead to it"


def test_a_system_without_them_is_refused_emulated(box: FakeBox) -> None:
    with pytest.raises(TargetError) as refused:
        alternatives.lead(box.host, CUDA)

    assert refused.value.message == "there is no update-alternatives on this box"


def test_a_broken_database_is_named_emulated(box: FakeBox) -> None:
    box.program("update-alternatives", lambda *_: (2, ["update-alternatives: error: unexpected end of file"]))

    with pytest.raises(TargetError) as refused:
        alternatives.lead(box.host, CUDA)

    assert (
        refused.value.message
        == "alternatives cannot be read: update-alternatives: error: unexpected end of file"
    )


def test_what_red_hats_tool_says_is_read() -> None:
    said = [
        "cuda - status is manual.",
        " link currently points to /usr/local/cuda-12.4",
        "/usr/local/cuda-12.4 - priority 124",
        "/usr/local/cuda-13.1 - family cuda - priority 131",
        "Current `best' version is /usr/local/cuda-13.1.",
    ]

    assert alternatives.queried(said) == alternatives.Group(
        True, "/usr/local/cuda-12.4", {"/usr/local/cuda-12.4": 124, "/usr/local/cuda-13.1": 131}
    )
