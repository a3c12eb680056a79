"""A module and an example become an exported program; the module is left exactly as it was."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from functools import reduce, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.distributions import Distribution
from torch.export import ExportedProgram
from torch.nn.modules import transformer
from torch.utils._pytree import tree_flatten, tree_leaves

from axonometry.errors import CaptureError
from axonometry.program.decisions import DecidedByExample, Decisions, as_run_alone
from axonometry.program.draws import Randomness, same_draws
from axonometry.program.entry import by_name
from axonometry.program.example import PACKED, BatchAxis, axis_of_first, first_sample
from axonometry.program.fx_utils import is_users
from axonometry.program.passes import PASSES
from axonometry.program.quiet import quiet
from axonometry.program.surroundings import surroundings_kept
from axonometry.program.untouched import untouched, unwrapped

RUNS = "the module must run on the example inputs and be exportable with torch.export"
DECIDED = "a program has no control flow that depends on data"
DETECTION = "_detect_is_causal_mask"
EXPERTS = "_experts_implementation"
WITHOUT_STATISTICS = CaptureError(
    "each sample of a batch goes through the network by itself",
    "a batch norm without running statistics",
    "Give it running statistics (track_running_stats=True), or use a layer or group norm",
)


def export(
    module: nn.Module,
    example_inputs: tuple[Any, ...],
    keywords: Mapping[str, Any] | None = None,
    *,
    batch_axis: BatchAxis = 0,
    randomness: Randomness = "refuse",
) -> ExportedProgram:
    """The module's forward pass as ATen calls on one sample, functional and in evaluation mode.

    Recurrent layers are taken apart into linear maps and elementwise steps, token ids become one-hot inputs of
    embeddings, and attention knows which tokens it may attend to.

    Raises:
        CaptureError: If the forward pass fails on the example, its control flow depends on data, or it draws numbers.
    """
    module = unwrapped(module)
    inputs, named = first_sample((example_inputs, dict(keywords or {})), batch_axis)
    with prepared(module), same_draws():
        exported = _exported(module, inputs, named, (example_inputs, keywords))
        leaves, spec = tree_flatten(exported.example_inputs)
        plain = tuple((isinstance(leaf, Tensor), None if isinstance(leaf, Tensor) else leaf) for leaf in leaves)
        exported.graph_module.meta.update(example=(plain, spec))
        exported.graph_module.meta.update(batch_axis=axis_of_first(batch_axis), randomness=randomness)
        program = reduce(lambda program, rewrite: rewrite(program), PASSES, exported)
        _forget_tensors(program)
        return program


def _exported(module: nn.Module, inputs: Any, named: Any, given: Any) -> ExportedProgram:
    """What torch exports; where it cannot, what it exports with decisions on integer inputs taken as in the example.

    Raises:
        CaptureError: It cannot either.
    """
    exported: ExportedProgram | Exception
    try:
        exported = torch.export.export(module, inputs, named)
    except Exception as error:  # noqa: BLE001 - whatever the user's forward or the exporter raises
        exported = error
    if isinstance(exported, ExportedProgram) and not _is_sized_by_values(exported):
        return exported
    decided = _as_decided(module, inputs, named)
    found = next((result for result in (decided, exported) if isinstance(result, ExportedProgram)), None)
    if found is not None:
        return found
    # where code does something else because it is exported, what stops it otherwise is the reason
    errors = [result for result in (exported, decided) if isinstance(result, Exception)]
    cause = next((one for one in errors if _failure(one).rule == DECIDED), errors[0])
    failure = _failure(cause)
    raise type(failure)(failure.rule, failure.came, by_name(module, given[0]) or failure.remedy) from cause


def _is_sized_by_values(exported: ExportedProgram) -> bool:
    """Whether a size follows from values, as of what a mask leaves."""
    values = (leaf for node in exported.graph.nodes for leaf in tree_leaves(node.meta.get("val")))
    return any(isinstance(size, torch.SymInt) for leaf in values if isinstance(leaf, Tensor) for size in leaf.shape)


def _as_decided(module: nn.Module, inputs: Any, named: Any) -> ExportedProgram | Exception:
    """The export in which the example's integers answer what the forward pass asks; the error where it fails."""
    forward, taken = module.forward, [Decisions()]
    given = [leaf for leaf in tree_leaves((inputs, named)) if isinstance(leaf, Tensor)]
    leaves = [leaf.cpu().clone() for leaf in given]

    @wraps(forward)
    def decided(*args: Any, **keywords: Any) -> Any:
        traced = [leaf for leaf in tree_leaves((args, keywords)) if isinstance(leaf, Tensor)]
        with as_run_alone(), DecidedByExample(traced, leaves) as mode:
            results = forward(*args, **keywords)
        taken.append(mode.decisions)
        return results

    vars(module)["forward"] = decided
    try:
        exported = torch.export.export(module, inputs, named)
    except Exception as error:  # noqa: BLE001 - returned: the first failure may be the one to tell
        return error
    finally:
        vars(module)["forward"] = forward
    places = {id(leaf): place for leaf, place in zip(given, taken[-1].inputs, strict=True)} if taken[-1] else {}
    kept = [leaf for leaf in tree_leaves(exported.example_inputs) if isinstance(leaf, Tensor)]  # names in another order
    exported.graph_module.meta["decisions"] = replace(taken[-1], inputs=tuple(places.get(id(leaf)) for leaf in kept))
    return exported


def _forget_tensors(program: ExportedProgram) -> None:
    """Drop the weak references to parameters that fake tensors keep: torch swaps no tensor that anyone refers to."""
    values = (node.meta.get("val") for node in program.graph.nodes)
    for mode in {value.fake_mode for value in values if isinstance(value, FakeTensor)}:
        describer = mode.fake_tensor_converter.meta_converter.describer
        describer.lookup_tensor.clear()
        describer.lookup_storage.clear()


@contextmanager
def prepared(module: nn.Module) -> Iterator[None]:
    """The module as it is exported: in evaluation mode, without hooks, with tensors alone for results."""
    composed = _composed_attention(), _experts_in_one_product(module), _unchecked_distributions()
    own = untouched(module), surroundings_kept(module.modules())
    with quiet(), own[0], own[1], torch.no_grad(), composed[0], composed[1], composed[2]:
        vars(module)["forward"] = _tensors_alone(module.forward)
        yield


@contextmanager
def _composed_attention() -> Iterator[None]:
    """Without the fused kernels for whole encoder layers, which hide the linear maps inside.

    Nor does a transformer look into its mask for one that is causal: that is for speed, and depends on data.
    """
    before, detect = torch.backends.mha.get_fastpath_enabled(), getattr(transformer, DETECTION, None)
    torch.backends.mha.set_fastpath_enabled(False)
    setattr(transformer, DETECTION, lambda mask, is_causal=None, size=None: bool(is_causal))
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
        setattr(transformer, DETECTION, detect)


@contextmanager
def _unchecked_distributions() -> Iterator[None]:
    """Without what torch.distributions checks of a mean or a deviation: decisions on signals."""
    before = Distribution._validate_args
    Distribution.set_default_validate_args(False)
    try:
        yield
    finally:
        Distribution.set_default_validate_args(before)


@contextmanager
def _experts_in_one_product(module: nn.Module) -> Iterator[None]:
    """Mixtures of experts of transformers in their form without loops over experts, whose length depends on data."""
    found = {id(c): c for child in module.modules() if hasattr(c := getattr(child, "config", None), EXPERTS)}
    before = {key: getattr(configuration, EXPERTS) for key, configuration in found.items()}
    try:
        for configuration in found.values():
            setattr(configuration, EXPERTS, "batched_mm")
        yield
    finally:
        for key, configuration in found.items():
            setattr(configuration, EXPERTS, before[key])


def _tensors_alone(forward: Callable[..., Any]) -> Callable[..., Any]:
    """The forward pass without results that are no tensors, such as caches of keys and values."""

    @wraps(forward)
    def run(*args: Any, **keywords: Any) -> tuple[Tensor, ...]:
        return tuple(_tensors(forward(*args, **keywords)))

    return run


def _tensors(result: Any) -> Iterator[Tensor]:
    if isinstance(result, Tensor):
        yield result
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _tensors(value)
    elif isinstance(result, (list, tuple)):
        for value in result:
            yield from _tensors(value)
    elif is_dataclass(result) and not isinstance(result, type):
        for field in fields(result):
            yield from _tensors(getattr(result, field.name))


def _failure(error: Exception) -> CaptureError:
    """One error for the many that exporting can end in."""
    text = str(error)
    where = _users_place(error)
    if _packs(error):
        return PACKED
    if "more than 1 value per channel" in text:
        return WITHOUT_STATISTICS
    if "data-dependent" in text.lower() or "DataDependent" in type(error).__name__:
        return CaptureError(
            DECIDED,
            f"a decision on a tensor's value{where}",
            "Write it with torch.cond or torch.where, or capture the submodules on either side",
        )
    first = next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
    return CaptureError(
        RUNS,
        f"{type(error).__name__}: {first}{where}",
        "Try module(*example_inputs) first, then torch.export.export(module, example_inputs); or capture a submodule",
    )


def _packs(error: BaseException) -> bool:
    """Whether an error comes from packing sequences of several lengths."""
    frames = _frames(error)
    inside = any(f.filename.endswith("nn/modules/rnn.py") for f in frames) and "FakeTensor" in str(error)
    return inside or any(f.name in ("pack_padded_sequence", "pack_sequence") for f in frames)


def _users_place(error: BaseException) -> str:
    """The innermost frame of the traceback, or of its causes, that is neither torch's nor ours."""
    places = [frame for frame in _frames(error) if is_users(frame.filename)]
    if not places:
        return ""
    frame = places[-1]
    return f" at {frame.filename.rsplit('/', 1)[-1]}, line {frame.lineno}: {frame.line}"


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    """The frames of an error's traceback, then those of its causes."""
    frames: list[traceback.FrameSummary] = []
    pending = [error]
    while pending:
        current = pending.pop()
        frames += traceback.extract_tb(current.__traceback__)
        pending += [cause for cause in (current.__cause__, current.__context__) if cause is not None]
    return frames
