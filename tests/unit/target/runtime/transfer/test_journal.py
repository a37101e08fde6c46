from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.target.runtime.transfer import journal
from provisioner.target.runtime.transfer.journal import Bits, Entry


@given(st.data())
def test_bits_are_a_set_of_numbers(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 200))
    numbers = st.integers(0, max(0, count - 1))
    bits = Bits(count)
    wanted: set[int] = set()
    if count:
        for number, on in data.draw(st.lists(st.tuples(numbers, st.booleans()))):
            (bits.set if on else bits.unset)(number)
            (wanted.add if on else wanted.discard)(number)
    assert {index for index in range(count) if bits[index]} == wanted
    assert bits.ones == len(wanted)
    assert bits.full() == (len(wanted) == count)
    again = Bits(count, bytes.fromhex(bits.hex()))
    assert (again.hex(), again.ones) == (bits.hex(), bits.ones)


@given(st.sets(st.integers(0, 63)), st.sets(st.integers(0, 63)))
def test_merged_bits_are_a_union(one: set[int], other: set[int]) -> None:
    left, right = Bits(64), Bits(64)
    for index in one:
        left.set(index)
    for index in other:
        right.set(index)
    left.merge(right)
    assert {index for index in range(64) if left[index]} == one | other
    assert left.ones == len(one | other)


def test_the_bitmap_of_the_contract() -> None:
    bits = Bits(10)
    for index in (0, 3, 9):
        bits.set(index)
    assert bits.hex() == "0902"


@settings(max_examples=40)
@given(size=st.integers(0, 100_000), block=st.integers(1, 5_000), seed=st.randoms())
def test_a_journal_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, size, block, seed) -> None:  # type: ignore[no-untyped-def]
    path = str(tmp_path_factory.mktemp("journal") / "key")
    Path(path).write_bytes(bytes(size))
    count = journal.blocks_of(size, block)
    done, durable = Bits(count), Bits(count)
    for index in range(count):
        if seed.random() < 0.6:
            done.set(index)
            if seed.random() < 0.5:
                durable.set(index)
    journal.write_entry(path, "a name", Entry(size, block, done, durable), "this boot", sync=False)
    same = journal.read_entry(path, "this boot")
    assert same is not None
    assert (same.size, same.block) == (size, block)
    assert (same.done.hex(), same.durable.hex()) == (done.hex(), durable.hex())
    later = journal.read_entry(path, "another boot")
    assert later is not None
    assert later.done.hex() == later.durable.hex() == durable.hex()
    wanted = sum(min(block, size - index * block) for index in range(count) if done[index])
    assert journal.bytes_of(done, size, block) == wanted


def test_the_journal_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(10))
    done, durable = Bits(3), Bits(3)
    done.set(0)
    done.set(2)
    durable.set(2)
    journal.write_entry(str(path), "sub/model.gguf", Entry(10, 4, done, durable), "b", sync=True)
    assert json.loads((tmp_path / "key.json").read_text()) == {
        "schema": 1, "name": "sub/model.gguf", "size": 10, "block": 4, "boot": "b", "done": "05",
        "durable": "04",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("schema", 2), ("size", -1), ("size", 11), ("size", None), ("block", 0), ("block", "x"),
        ("done", "zz"), ("done", "0505"), ("durable", 4),
    ],
)  # fmt: skip
def test_a_damaged_journal_says_nothing(tmp_path: Path, change: str, value: object) -> None:
    path = tmp_path / "key"
    path.write_bytes(bytes(10))
    right = {"schema": 1, "name": "n", "size": 10, "block": 4, "boot": "b", "done": "05", "durable": "04"}
    (tmp_path / "key.json").write_text(json.dumps(right))
    assert journal.read_entry(str(path), "b") is not None
    (tmp_path / "key.json").write_text(json.dumps({**right, change: value}))
    assert journal.read_entry(str(path), "b") is None


@pytest.mark.parametrize(
    ("size", "block"),
    [(0, 256 << 10), (1_000_000, 256 << 10), (513 << 20, 512 << 10), (4 << 30, 4 << 20), (1 << 40, 4 << 20)],
)
def test_blocks_are_small_beside_their_file(size: int, block: int) -> None:
    assert journal.block_for(size) == block


def test_a_kernel_without_a_boot_id_trusts_only_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_BOOT_ID", str(tmp_path / "none"))
    assert journal.boot_id() == ""
    path = tmp_path / "key"
    path.write_bytes(bytes(10))
    done = Bits(3)
    done.set(0)
    journal.write_entry(str(path), "n", Entry(10, 4, done, Bits(3)), "", sync=False)
    found = journal.read_entry(str(path), "")
    assert found is not None
    assert found.done.ones == 0
