"""Tensors and state in one file, without pickle."""

from __future__ import annotations

import math
import random
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from torch import Tensor, nn

from axonometry.errors import RunError
from axonometry.trajectory.state import random_state, read_state, set_random_state, write_state

DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool, torch.complex64),
)


def same(a: Any, b: Any) -> bool:
    """Equal in type and value, NaN to NaN, through lists, tuples and dictionaries."""
    if isinstance(a, Tensor):
        equal = isinstance(b, Tensor) and a.dtype == b.dtype and a.shape == b.shape
        return equal and a.contiguous().numpy().tobytes() == b.contiguous().numpy().tobytes()
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))


numbers = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5))
tensors = st.lists(st.floats(width=32), max_size=4).map(torch.tensor)
keys = st.one_of(st.integers(-3, 3), st.text(max_size=3), st.booleans(), st.none())
trees = st.recursive(
    st.one_of(numbers, tensors),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.lists(inner, max_size=3).map(tuple), st.dictionaries(keys, inner, max_size=3)
    ),
    max_leaves=8,
)


@given(tree=trees)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.mktemp("state") / "a.safetensors"
    write_state(path, {"w": torch.ones(2)}, tree)
    found, back = read_state(path)
    assert same(tree, back)
    assert same({"w": torch.ones(2)}, found)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path: Path, dtype: torch.dtype) -> None:
    raw = torch.randint(0, 2 if dtype == torch.bool else 256, (3, 4, dtype.itemsize), dtype=torch.uint8)
    whole = raw.view(dtype).squeeze(-1)
    state = {"matrix": whole, "number": whole[0, 0].clone(), "none": whole[:0], "strided": whole.t()[1:]}
    write_state(tmp_path / "a", state)
    found = read_state(tmp_path / "a")[0]
    assert list(found) == list(state)
    for name, tensor in state.items():
        assert found[name].dtype == dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(
            found[name].contiguous().view(-1).view(torch.uint8), tensor.contiguous().view(-1).view(torch.uint8)
        )


def test_a_tied_tensor_is_stored_once_and_comes_back_under_both_names(tmp_path: Path) -> None:
    weight = torch.randn(100, 100)
    write_state(tmp_path / "once", {"a": weight})
    write_state(tmp_path / "tied", {"a": weight, "b": weight, "view": weight.view(-1)[:10], "t": weight.t()})
    assert (tmp_path / "tied").stat().st_size < 2.2 * (tmp_path / "once").stat().st_size
    found = read_state(tmp_path / "tied")[0]
    assert found["a"] is found["b"]
    assert torch.equal(found["view"], weight.view(-1)[:10])
    assert torch.equal(found["t"], weight.t())


def test_a_view_of_a_large_storage_takes_its_own_size_only(tmp_path: Path) -> None:
    write_state(tmp_path / "a", {"a": torch.zeros(1_000_000)[:10]})
    assert (tmp_path / "a").stat().st_size < 2000


def test_the_file_is_plain_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    model = nn.LSTM(3, 4)
    write_state(tmp_path / "a.safetensors", model.state_dict())
    assert same(dict(sorted(model.state_dict().items())), dict(sorted(load_file(tmp_path / "a.safetensors").items())))


@pytest.mark.parametrize(
    "make", [torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.LBFGS, torch.optim.RMSprop]
)
def test_real_optimizers_come_back(tmp_path: Path, make: Any) -> None:
    model = nn.Linear(3, 2)
    optimizer = make(model.parameters(), lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = model(torch.ones(4, 3)).square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    write_state(tmp_path / "a", {}, optimizer.state_dict())
    back = read_state(tmp_path / "a")[1]
    expected = optimizer.state_dict()
    assert list(back["state"]) == list(expected["state"])
    assert same({**expected, "state": {k: dict(v) for k, v in expected["state"].items()}}, back)
    make(model.parameters(), lr=0.3).load_state_dict(back)


def test_mappings_and_tuples_of_other_kinds_come_back_as_plain_ones(tmp_path: Path) -> None:
    pair = namedtuple("pair", "a b")
    write_state(
        tmp_path / "a", {}, {"o": OrderedDict(x=1), "p": pair(1, 2), "s": torch.Size([3]), "f": np.float64(0.5)}
    )
    assert same({"o": {"x": 1}, "p": (1, 2), "s": (3,), "f": 0.5}, read_state(tmp_path / "a")[1])


def test_what_cannot_be_stored_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"got object at the state\.groups\.1\.x"):
        write_state(tmp_path / "a", {}, {"groups": [1, {"x": object()}]})
    with pytest.raises(RunError, match=r"lists, tuples and dictionaries; got dict at the state"):
        write_state(tmp_path / "a", {}, {(1, 2): 3})
    with pytest.raises(RunError, match=r"dense.*complex128"):
        write_state(tmp_path / "a", {"z": torch.zeros(1, dtype=torch.complex128)})
    with pytest.raises(RunError, match=r"dense.*sparse_coo"):
        write_state(tmp_path / "a", {"z": torch.eye(2).to_sparse()})
    with pytest.raises(RunError, match=r"z, which is meta"):
        write_state(tmp_path / "a", {"z": torch.empty(2, device="meta")})
    assert list(tmp_path.iterdir()) == []


def test_a_file_cut_short_or_with_one_bit_turned_is_refused_or_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a"
    state, tree = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor(3)}, {"lr": 0.25, 3: torch.ones(2)}
    write_state(path, state, tree)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match=f"^corrupt file: {path}: (.*Restore it from a copy|an empty file)"):
            read_state(path)
    for index in range(len(whole)):
        turned = bytearray(whole)
        turned[index] ^= 1 << (index % 8)
        path.write_bytes(turned)
        try:
            found, back = read_state(path)
        except RunError:
            continue
        assert same(state, found), index
        assert same(tree, back), index
    path.write_bytes(whole)
    assert same(state, read_state(path)[0])


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    with pytest.raises(RunError, match="corrupt file: "):
        read_state(tmp_path / "absent")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(RunError, match=r"corrupt file: .*foreign: KeyError"):
        read_state(tmp_path / "foreign")


def test_random_generators_are_put_back(tmp_path: Path) -> None:
    def draw() -> tuple[float, ...]:
        return (
            random.random(),
            random.gauss(0, 1),
            float(np.random.rand()),
            float(np.random.randn()),
            float(torch.rand(1)),
        )

    random.gauss(0, 1), np.random.randn()  # both keep a second number for the next call
    before = random_state()
    write_state(tmp_path / "a", {}, before)
    expected = [draw(), draw()]
    set_random_state(read_state(tmp_path / "a")[1])
    assert [draw(), draw()] == expected
