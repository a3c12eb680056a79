"""The cut reading: a network as a weighted directed graph, a linear operator whose matrix is never built."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from axonometry.arguments import argument_errors
from axonometry.errors import ConfigurationError, ValuesError, closest
from axonometry.program.channels import ChannelGraph
from axonometry.program.entry import of_snapshot
from axonometry.program.ir import Coverage, Group, Kernel, Program, Statics, Synapse, Wire
from axonometry.program.kernels import kernel_of
from axonometry.program.links import Links, Map, absolute, presence, square
from axonometry.program.matrices import sparse_matrix
from axonometry.program.networkx_graphs import networkx_graph
from axonometry.program.operators import DENSE_UP_TO, Product, checked, checked_map, filled
from axonometry.program.readings.adjacency import run_from_group, run_program
from axonometry.program.readings.prepared import Prepared
from axonometry.program.readings.tape import Tape, recording
from axonometry.program.rolling import channel_graph
from axonometry.program.transposed import Transposed
from axonometry.program.untouched import unwrapped
from axonometry.program.weights.module_weights import ModuleWeights, WeightSource
from axonometry.program.weights.snapshots import snapshot_of
from axonometry.showing import shown
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import networkx
    import pandas as pd
    import scipy.sparse


@argument_errors
class NeuralGraph:
    """A network at one snapshot, read as a graph: neurons, and links from each to the sums it enters.

    ``graph @ x`` is the product with the adjacency matrix, ``A[target, source]``: what every neuron receives when each
    neuron sends its value. ``graph.T @ y`` is the product with its transpose. Neither builds the matrix; each costs
    one or two forward passes. Parallel links add up. Biases are not links.

    The graph copies nothing: at each use it reads the weights that the captured module has now, and so does what was
    made of it before, such as ``graph.abs()`` and ``graph.T``. A module that has become another one is an error.
    ``graph.at(snapshot)`` reads other weights. ``graph.channels()``, ``graph.dense()`` and measures are values of the
    moment when they were taken.

    Attributes:
        program: The captured network without its weights.
        maps: What is done to every coefficient, one after the other; nothing in a graph as it is captured.
        dense_up_to: Neurons up to which the matrix itself multiplies faster than the graph does.

    Two inputs, two outputs: what ones receive along the links, what they receive against them, and along squared links:

    >>> from axonometry.testing import graph_of
    >>> graph = graph_of([[1.0, -3.0], [2.0, 4.0]])
    >>> (graph @ graph.ones())["0"], (graph.T @ graph.ones())["input"], (graph.square() @ graph.ones())["0"]
    (tensor([-2.,  6.]), tensor([3., 1.]), tensor([10., 20.]))
    """

    dense_up_to: ClassVar[int] = DENSE_UP_TO

    def __init__(self, program: Program, source: WeightSource, maps: tuple[Map, ...] = ()) -> None:
        self.program, self.maps, self._source = program, maps, source

    # what there is ---------------------------------------------------------------------------------------------------

    @property
    def groups(self) -> tuple[Group, ...]:
        """Neuron groups in the order of computation, inputs first."""
        return self.program.groups

    @property
    def synapses(self) -> tuple[Synapse, ...]:
        """Parametric linear maps, in the order of computation."""
        return self.program.synapses

    @property
    def wires(self) -> tuple[Wire, ...]:
        """Links without a parameter that end in a group."""
        return self.program.wires

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """What became of every parameter."""
        return self.program.coverage

    @property
    def n_neurons(self) -> int:
        """Number of neurons in all groups."""
        return sum(group.n_neurons for group in self.groups)

    @property
    def n_links(self) -> int:
        """Number of links, parallel ones counted apart, whatever their weight."""
        return sum(s.n_links for s in self.synapses) + sum(w.n_links for w in self.wires)

    @property
    def state(self) -> Mapping[str, Tensor]:
        """Parameters, buffers and constants by state-dict name, as they are now; they share the module's memory.

        Raises:
            WeightsError: The module is no longer the one that was captured, but for its weights.
        """
        return self._source.now()

    @property
    def module(self) -> nn.Module | None:
        """The captured module, unwrapped, where its weights are read; None of a graph of stored weights."""
        return unwrapped(self._source.module) if isinstance(self._source, ModuleWeights) else None

    @property
    def dtype(self) -> torch.dtype:
        """The type that products are computed in: the weights', but at least float32."""
        return self.prepared().dtype

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.prepared().device

    def prepared(self) -> Prepared:
        """The weights of this moment, for several products with the same ones."""
        return Prepared(self.program, self.state, self.maps)

    def __deepcopy__(self, memo: dict[int, Any]) -> NeuralGraph:
        return NeuralGraph(self.program, copy.deepcopy(self._source, memo), self.maps)

    def __repr__(self) -> str:
        return f"NeuralGraph({len(self.groups)} groups, {self.n_neurons:,} neurons, {self.n_links:,} links)"

    def _repr_html_(self) -> str:
        return str(shown("graph_html", self))

    def draw(self, colour: str | Mapping[str, Tensor] = "node_strength", **choices: Any) -> Any:
        """The axonometric picture, a Plotly figure with an ``svg()``; see :func:`axonometry.report.draw_graph`."""
        return shown("draw_graph", self, colour, **choices)

    def summary(self, *, draws: int | None = None) -> pd.DataFrame:
        """A row a group: kind, shape, parameters, links, mean strength; fluctuation, also untrained and shuffled.

        Args:
            draws: Networks with fresh weights, and with shuffled ones, that the fluctuation is held against: by default
                20 up to a million weights, none above.
        """
        return shown("graph_summary", self, draws=draws)

    # values ----------------------------------------------------------------------------------------------------------

    def ones(self) -> NodeValues:
        """One for every neuron."""
        return self._filled(1.0)

    def zeros(self) -> NodeValues:
        """Zero for every neuron."""
        return self._filled(0.0)

    def _filled(self, value: float) -> NodeValues:
        now = self.prepared()
        return filled(self.groups, value, now.dtype, now.device)

    def _checked(self, values: Mapping[str, Tensor], now: Prepared) -> dict[str, Tensor]:
        """The values in the graph's type and on its device."""
        given = checked(self.groups, values, "Start from graph.ones() or graph.zeros()")
        return {group.name: given[group.name].to(now.device, now.dtype) for group in self.groups}

    # products --------------------------------------------------------------------------------------------------------

    @property
    def T(self) -> Transposed[NeuralGraph]:  # noqa: N802 (the name of a transpose in every array library)
        """The graph with all links turned round."""
        return Transposed(self)

    def __matmul__(self, x: Mapping[str, Tensor]) -> NodeValues:
        """What every neuron receives: the weighted sum over the neurons that link to it."""
        now = self.prepared()
        return self._received(self._checked(x, now), now, now.links)

    def sent(self, y: Mapping[str, Tensor]) -> NodeValues:
        """What every neuron sends, ``graph.T @ y``: the sums' gradient by the groups' values; the reading is linear."""
        now = self.prepared()
        return self._pulled(self._checked(y, now), now)

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A @ x, A.T @ y)``."""
        return self @ x, self.T @ y

    def strengths(self) -> tuple[NodeValues, NodeValues]:
        """In-strength and out-strength of every neuron: ``A @ 1`` and ``A.T @ 1``.

        Cheaper than the two products: where all channels have one value, kernels are summed before they are applied.
        """
        now = self.prepared()
        one = torch.ones((), dtype=now.dtype, device=now.device)
        equal = {group.name: one.expand(group.shape) for group in self.groups}
        return self._received(equal, now, now.links), self._pulled(equal, now)

    def repeated(self) -> tuple[Product, Product]:
        """``A @ x`` and ``A.T @ y`` as functions for many products with the weights of now, of values as they are.

        What the transposed one is differentiated from is recorded once and kept; it holds no signal.
        """
        tape = Tape(self.groups, self.prepared())
        return tape.forward, tape.backward

    def _pulled(self, y: Mapping[str, Tensor], now: Prepared) -> NodeValues:
        leaves, ends = recording(self.groups, now)
        wanted = [y[name].reshape(value.shape) for name, value in ends.items()]
        pulled = torch.autograd.grad(list(ends.values()), list(leaves.values()), wanted, materialize_grads=True)
        return NodeValues({name: value.detach() for name, value in zip(leaves, pulled, strict=True)})

    def _received(self, x: Mapping[str, Tensor], now: Prepared, links: Links) -> NodeValues:
        """One tensor a group, of the group's shape; zero where no link ends."""
        with torch.no_grad():
            received = run_program(self.program, x, now.statics, links)
        return NodeValues(
            {
                g.name: received[g.name].detach().reshape(g.shape)
                if g.name in received
                else torch.zeros(g.shape, dtype=now.dtype, device=now.device)
                for g in self.groups
            }
        )

    @property
    def weights(self) -> Statics:
        """By node of the program, what does not depend on the input: parameters, buffers, what is computed of them."""
        return self.prepared().statics

    @property
    def links(self) -> Links:
        """What readings pass coefficients through: the maps that make this graph's link weights of them."""
        return Links(self.maps, dtype=self.dtype)

    # other graphs ----------------------------------------------------------------------------------------------------

    def map(self, f: Map) -> NeuralGraph:
        """The same graph with a function of every link's weight.

        Args:
            f: Takes a tensor and gives one of its shape, with f(0) = 0 and f(ab) = f(a) f(b): a link's weight is a
                product of coefficients, each of which is mapped.

        Raises:
            ConfigurationError: The function is none of these.

        >>> import torch
        >>> from torch import nn
        >>> from axonometry import capture
        >>> graph = capture(nn.Sequential(nn.Linear(2, 1, bias=False)), torch.zeros(1, 2))
        >>> graph = graph.at({"0.weight": torch.tensor([[-2.0, 3.0]])})
        >>> (graph.map(torch.square) @ graph.ones())["0"]
        tensor([13.])
        """
        return self._mapped(checked_map(f, of_products=True))

    def abs(self) -> NeuralGraph:
        """The same graph with the absolute value of every link's weight."""
        return self._mapped(absolute)

    def square(self) -> NeuralGraph:
        """The same graph with the square of every link's weight."""
        return self._mapped(square)

    def binary(self) -> NeuralGraph:
        """The same graph with weight 1 for every link whose weight is not zero."""
        return self._mapped(presence)

    def _mapped(self, f: Map) -> NeuralGraph:
        return NeuralGraph(self.program, self._source, (*self.maps, f))

    @of_snapshot
    def at(self, state_dict: Mapping[str, Tensor]) -> NeuralGraph:
        """The same graph at another snapshot: other weights of the same network.

        Raises:
            WeightsError: If a parameter or buffer that the program reads is missing or has another shape.
        """
        return NeuralGraph(self.program, snapshot_of(self.program, self._source, state_dict), self.maps)

    def from_group(self, source: str, values: Tensor) -> dict[str, Tensor]:
        r"""What every group receives when one group alone sends.

        Args:
            source: Name of the group.
            values: Many values for it at once, of shape (n, \*shape of the group).

        Returns:
            By group that links of the source reach: a tensor of shape (n, \*shape of that group).

        Raises:
            ValuesError: There is no such group, or the values are of another shape.
        """
        shapes = {group.name: tuple(group.shape) for group in self.groups}
        if source not in shapes:
            raise ValuesError("a group is named as in the graph", repr(source), closest(source, shapes))
        if tuple(values.shape[1:]) != shapes[source]:
            rule = f"values of {source!r} have the shape (n, {', '.join(map(str, shapes[source]))})"
            raise ValuesError(rule, f"{tuple(values.shape)}", "Put those that are sent at once along the first axis")
        now = self.prepared()
        return run_from_group(self.program, source, values, now.statics, now.links)

    def channels(self, weights: Literal["norm", "sum"] = "norm") -> ChannelGraph:
        """The rolled graph: one node a channel, whatever its places and time steps; a recurrent unit links to itself.

        Args:
            weights: ``"norm"``: a link is the L2 norm of the kernel between two channels. ``"sum"``: the signed sum of
                the kernel's weights, for a linear or recurrent layer the weight itself.

        Raises:
            ConfigurationError: ``weights`` is neither of the two.
        """
        if weights not in ("norm", "sum"):
            raise ConfigurationError("weights is 'norm' or 'sum'", repr(weights), "Choose one of them")
        return channel_graph(self, weights)

    # weights ---------------------------------------------------------------------------------------------------------

    def kernel(self, synapse: str) -> Kernel:
        """The weights of a synapse and what normalisation folds into them, before any map such as :meth:`abs`.

        Raises:
            ValuesError: If there is no synapse of that name.
        """
        if synapse not in self.program.sites:
            raise ValuesError(
                "a kernel is asked for by the name of a synapse",
                repr(synapse),
                f"The synapses are: {', '.join(s.name for s in self.synapses)}",
            )
        with torch.no_grad():
            return kernel_of(self.program, synapse, self.weights)

    def kernels(self) -> dict[str, Kernel]:
        """The kernel of every synapse, by name."""
        statics = self.weights
        with torch.no_grad():
            return {synapse.name: kernel_of(self.program, synapse.name, statics) for synapse in self.synapses}

    def biases(self) -> NodeValues:
        """The constant term of every neuron's pre-activation: biases, and the shifts of folded normalisation."""
        now = self.prepared()
        zeros = filled(self.groups, 0.0, now.dtype, now.device)
        return self._received(zeros, now, Links(dtype=now.dtype, constants=True))

    # matrices --------------------------------------------------------------------------------------------------------

    def dense(self) -> Tensor:
        """The whole matrix ``A[target, source]``, neurons in the order of ``NodeValues.flatten``; for small graphs.

        Raises:
            TooLargeError: As :meth:`to_scipy`.
        """
        return torch.from_numpy(sparse_matrix(self).toarray()).to(self.device)

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The adjacency matrix, ``A[target, source]``, neurons in the order of ``NodeValues.flatten``.

        Links of weight zero are not stored; parallel links are one entry, their sum.

        Raises:
            TooLargeError: If the matrix or the work to find it would take more than 2 GiB.
        """
        return sparse_matrix(self)

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """The graph as one of networkx; see :func:`~axonometry.program.to_networkx`.

        Raises:
            TooLargeError: As :meth:`to_scipy`.
            MissingExtraError: If networkx is not installed.
        """
        return networkx_graph(self, sparse_matrix(self))
