"""One call of an exported program, as a rule sees it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from torch import Tensor, fx

from axonometry.errors import UnknownOperationError

Kind = Literal["synapse", "sum", "scale", "relabel", "wiring", "pooling", "carrier"]
Operation = Any  # torch._ops.OpOverload, operator.getitem
LinearFunction = Callable[..., Any]
KEEP_ALL = "Keep all places and weigh them, by a mask or torch.where, or capture the submodules on either side"
"""The remedy where how many values there are depends on the input."""
ARITHMETIC = frozenset("div true_divide reciprocal sqrt rsqrt pow exp exp2 expm1 log log2 log10 log1p".split())
"""Names of the calls that functions such as ``log(1 + exp(x))`` are written out with."""
KINDS: tuple[Kind, ...] = ("synapse", "sum", "scale", "relabel", "wiring", "pooling", "carrier")


@dataclass(frozen=True)
class Gain:
    """What a scale does to each channel: ``factor * x + shift``, both of shape (channels,) or scalars."""

    factor: Tensor | float
    shift: Tensor | None = None


@dataclass(frozen=True)
class Lowering:
    """How one call of the program is read.

    Attributes:
        kind: What the call is.
        read: The linear function ``read(links, *args, **kwargs)``.
        of: For a carrier, the node whose value is carried.
        composite: The call closes a nonlinear function of one signal, x * sigmoid(x); numbers behind belong to it.
        weight: For a synapse, the position of its weight.
        gains: For a synapse, other operands without a signal that its links are multiplied with.
        output_axis: For a synapse, the weight's axis of output channels.
        input_axis: For a synapse, the weight's axis of input channels.
        signal_axis: For a synapse, the axis of its signal that the weight's input channels run along.
        channel_axis: The axis of the result that counts channels, with the batch axis; for a scale, where it acts.
        gain: For a scale, ``gain(*args, **kwargs)`` gives its factor and shift.
        groups: For a grouped convolution, the number of blocks of channels that do not see each other.
        coefficients: For a sum, what it multiplies each of its signals with.
        role: What claims the call's parameters other than a synapse's weight.
        reads: The signals that are linked; None for all of them. The others only modulate.
        data_dependent: Given recorded values of the call's arguments, ``data_dependent(*args, **kwargs)`` gives the
            function to read the call with where links depend on the sample: the real winner of a pooling, the
            probabilities of attention.
    """

    kind: Kind
    read: LinearFunction | None = None
    of: fx.Node | None = None
    composite: bool = False
    weight: int = 1
    gains: tuple[fx.Node, ...] = ()
    output_axis: int = 0
    input_axis: int = 1
    signal_axis: int = -1
    channel_axis: int | None = None
    gain: Callable[..., Gain] | None = None
    groups: int = 1
    coefficients: tuple[float, ...] = ()
    role: Literal["bias", "normalisation", "activation"] = "bias"
    reads: tuple[fx.Node, ...] | None = None
    data_dependent: Callable[..., LinearFunction] | None = None


@dataclass(frozen=True)
class Signal:
    """What is known of a value that depends on the input.

    Attributes:
        root: The nearest value that this one is an elementwise function of; itself after any other operation.
        nonlinear: Whether an elementwise nonlinearity lies between root and here.
        composite: Whether the value closes a nonlinear function of its root, which it stands for with coefficient 1.
        open: Whether the value is a sum under construction that only the next operation reads.
        channel_axis: For an open sum, its axis of channels, the batch axis counted.
    """

    root: fx.Node
    nonlinear: bool = False
    composite: bool = False
    open: bool = False
    channel_axis: int | None = None


@dataclass
class OpenSum:
    """The terms of a sum as far as it has been read: of ``norm(conv(x)) + x``, the synapse conv2d and the skip x."""

    synapses: list[fx.Node] = field(default_factory=list)
    skips: list[fx.Node] = field(default_factory=list)


@dataclass
class NodeFacts:
    """What is known of one node of the exported graph; the lowering fills it in as it goes.

    Of ``relu(conv(x))``, once all of it has been read::

        node      role    signal                    lowering  sources  group    synapse
        weight    tensor  -                         -         -        -        -         tensor "conv.weight"
        x         input   root x                    -         -        "input"  -
        conv2d    call    root conv2d               synapse   input    "conv"   "conv"
        relu      call    root conv2d, nonlinear    carrier   conv     -        -

    Attributes:
        role: A ``tensor`` is a parameter, a buffer or a constant; ``static`` is what is computed from these alone; an
            ``input`` is a group of neurons, a ``control`` an input that is none, such as a mask; a ``call`` depends on
            the inputs. None for what no reading needs, such as checks of shapes.
        tensor: For a tensor, its name in the state dict.
        example: For a control, its value in the example.
        signal: For an input and a call, what is known of its value.
        lowering: For a call, how it is read.
        sources: Names of the groups that the value reads.
        terms: Where the value is a sum, its terms.
        group: Where the value is the pre-activations of neurons, or an input, the name of their group.
        synapse: Where the call is a synapse, its name.
        factor: For a synapse, what sums multiply it with on its way to its group.
        scales: For a synapse, the scales of channels on its way to its group.
    """

    role: Literal["input", "control", "tensor", "static", "call"] | None = None
    tensor: str = ""
    example: Any = None
    signal: Signal | None = None
    lowering: Lowering | None = None
    sources: frozenset[str] = frozenset()
    terms: OpenSum = field(default_factory=OpenSum)
    group: str | None = None
    synapse: str | None = None
    factor: float = 1.0
    scales: list[fx.Node] = field(default_factory=list)


class OpCall:
    """A node of the program together with what is known of its operands.

    Attributes:
        node: The call in the exported graph.
        args: The node's positional arguments.
        operation: The operator overload that is called.
        signals: Its operands that depend on the module's input, in order.
    """

    def __init__(self, node: fx.Node, facts: Mapping[fx.Node, NodeFacts]) -> None:
        self.node, self._facts = node, facts
        self.args: tuple[Any, ...] = node.args
        self.operation: Any = node.target
        self.signals = [operand for operand in node.all_input_nodes if facts[operand].signal is not None]

    @property
    def name(self) -> str:
        """The operator's name, such as ``conv2d``."""
        return str(self.operation.overloadpacket.__name__)

    def argument(self, position: int, default: Any = None) -> Any:
        """A positional argument, or the default where the call leaves it out."""
        return self.args[position] if position < len(self.args) else default

    def is_signal(self, argument: Any) -> bool:
        """Whether an argument depends on the module's input."""
        return isinstance(argument, fx.Node) and self._facts[argument].signal is not None

    def known(self, argument: fx.Node) -> Signal:
        """What is known of a signal."""
        signal = self._facts[argument].signal
        assert signal is not None
        return signal

    def shape(self, argument: fx.Node | None = None) -> tuple[int, ...]:
        """The shape of an argument, or of the result."""
        value = (argument or self.node).meta["val"]
        return tuple((value[0] if isinstance(value, (tuple, list)) else value).shape)

    def carried(self) -> Lowering:
        """The reading of a nonlinearity of one signal.

        Numbers in front of it are coefficients: ``tanh(3 * relu(x))`` has 3. Arithmetic behind a nonlinearity closes
        a function that is written out, and both are a single one of the root: ``1 / (1 + exp(-x))`` has 1, not -1.
        """
        known = self.known(self.signals[0])
        closed = known.composite or (known.nonlinear and self.name in ARITHMETIC)
        return Lowering("carrier", of=known.root if closed else self.signals[0], role="activation")

    def same_root(self) -> bool:
        """Whether all signals are elementwise functions of one signal."""
        return len({self.known(operand).root for operand in self.signals}) == 1

    def composite(self) -> Lowering:
        """The reading of an elementwise function of one signal by way of several operands."""
        if not self.same_root():
            self.refuse("it joins different signals in a way that has no reading")
        return Lowering("carrier", of=self.known(self.signals[0]).root, composite=True, role="activation")

    def common_origin(self) -> fx.Node | None:
        """The value of the result's shape that all signals are functions of, with no synapse in between; or None."""
        origins = {operand: self._origins(operand) for operand in self.signals}
        found = set().union(*origins.values())
        origin = found.pop() if len(found) == 1 else None
        return origin if origin is not None and self.shape(origin) == self.shape() else None

    def _origins(self, node: fx.Node) -> set[fx.Node]:
        """The sums and groups that a value is computed from."""
        found, pending, seen = set(), [node], set()
        while pending:
            node = pending.pop()
            facts = self._facts[node]
            if node in seen or facts.signal is None:
                continue
            seen.add(node)
            before = [operand for operand in node.all_input_nodes if self._facts[operand].signal is not None]
            if facts.group is not None or facts.signal.open or not before:
                found.add(node)
            else:
                pending += before
        return found

    def is_statistic_of(self, factor: fx.Node, signal: fx.Node) -> bool:
        """Whether ``factor`` depends on the input by way of ``signal`` alone, with no synapse in between."""
        roots = {self.known(signal).root}
        while (of := self._centred(roots)) is not None:  # of h - mean(h), statistics of h count as well
            roots.add(of)
        if self.known(factor).root in roots:
            return False
        pending, seen = [factor], set()
        while pending:
            node = pending.pop()
            facts = self._facts[node]
            if node in roots or node in seen or facts.signal is None:
                continue
            if facts.group is not None or facts.signal.open:
                return False
            seen.add(node)
            pending += node.all_input_nodes
        return True

    def _centred(self, roots: set[fx.Node]) -> fx.Node | None:
        """The root of a value that one of some values is the same neurons of, as ``h`` of ``h - mean(h)``."""
        lowerings = [self._facts[root].lowering for root in roots if self._facts[root].group is None]
        found = [self.known(low.of).root for low in lowerings if low is not None and low.kind == "carrier" and low.of]
        return next((root for root in found if root not in roots), None)

    def refuse(self, why: str, remedy: str = "") -> NoReturn:
        """Raise the error that names the operation, its place and the remedy: a rule, where no other is given."""
        around = ", or capture the submodules around it" if self._has_submodules_around() else ""
        raise UnknownOperationError(
            "every operation on a signal needs a reading",
            f"{self.node.target} at {place_of(self.node)}: {why}",
            remedy or f"Register a rule with axonometry.rule{around}",
        )

    def _has_submodules_around(self) -> bool:
        """Whether a module makes calls that is not one of those that the operation is in."""
        inside = module_path(self.node)
        paths = {module_path(node) for node in self.node.graph.nodes if node.op == "call_function"}
        return any(path and not f"{inside}.".startswith(f"{path}.") for path in paths)


def module_path(node: fx.Node) -> str:
    """Path of the innermost module whose forward makes this call; empty for the root."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    return path.removeprefix("L__self__").removeprefix(".").split("@")[0]


def place_of(node: fx.Node) -> str:
    """Where in the user's code a call stands: the module's path, and file and line where they are known."""
    path = module_path(node)
    where = f"module {path!r}" if path else "the module's own forward"
    frames = [line.strip() for line in (node.meta.get("stack_trace") or "").splitlines()]
    own = [i for i, line in enumerate(frames) if line.startswith('File "/') and "/torch/nn/" not in line]
    if not own:
        return where
    code = frames[own[-1] + 1] if own[-1] + 1 < len(frames) else ""
    file, line = frames[own[-1]].split(", ")[:2]
    name = file.removeprefix("File ").strip('"').rsplit("/", 1)[-1]
    return f"{where} ({name}, {line}: {code})"
