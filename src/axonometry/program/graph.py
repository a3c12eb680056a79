"""The cut reading: a network as a weighted directed graph, a linear operator whose matrix is never built."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from axonometry.errors import ConfigurationError, ValuesError, WeightsError
from axonometry.program.description import Coverage, Group, Kernel, Synapse, Wire
from axonometry.program.links import Links, Map, absolute, presence, square
from axonometry.program.program import Program, Statics
from axonometry.values import NodeValues

if TYPE_CHECKING:
    import networkx
    import scipy.sparse

    from axonometry.program.channels import ChannelGraph


class NeuralGraph:
    """A network at one snapshot, read as a graph: neurons, and links from each to the sums it enters.

    ``graph @ x`` is the product with the adjacency matrix, ``A[target, source]``: what every neuron receives when each
    neuron sends its value. ``graph.T @ y`` is the product with its transpose. Neither builds the matrix; each costs
    one or two forward passes. Parallel links add up. Biases are not links.

    The graph reads the captured module's weights where they are: it copies nothing and follows the module as it trains.
    ``graph.at(snapshot)`` reads other weights.

    Attributes:
        program: The captured network without its weights.
        state: Parameters and buffers by state-dict name.
    """

    def __init__(self, program: Program, state: Mapping[str, Tensor], maps: tuple[Map, ...] = ()) -> None:
        self.program, self.state, self._maps = program, state, maps
        self._kept: tuple[tuple[int, ...], Statics, Links] | None = None

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

    @cached_property
    def dtype(self) -> torch.dtype:
        """The type that products are computed in: the weights', but at least float32."""
        kind = torch.float32
        for name in self.program.exported.graph_signature.parameters:
            kind = torch.promote_types(kind, self.state[name].dtype) if name in self.state else kind
        return kind

    @cached_property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next((t.device for t in self.state.values() if isinstance(t, Tensor)), torch.device("cpu"))

    def __repr__(self) -> str:
        return f"NeuralGraph({len(self.groups)} groups, {self.n_neurons:,} neurons, {self.n_links:,} links)"

    # values ----------------------------------------------------------------------------------------------------------

    def ones(self) -> NodeValues:
        """One for every neuron."""
        return self._filled(1.0)

    def zeros(self) -> NodeValues:
        """Zero for every neuron."""
        return self._filled(0.0)

    def _filled(self, value: float) -> NodeValues:
        return NodeValues(
            {g.name: torch.full(g.shape, value, dtype=self.dtype, device=self.device) for g in self.groups}
        )

    def _checked(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if not isinstance(values, Mapping):
            raise ValuesError(
                "a graph is multiplied with a value for every neuron, a mapping from group to tensor",
                type(values).__name__,
                "Start from graph.ones() or graph.zeros()",
            )
        unknown = set(values) - {group.name for group in self.groups}
        if unknown:
            raise ValuesError(
                "values are given by the names of neuron groups",
                ", ".join(sorted(map(repr, unknown))),
                f"The groups are: {', '.join(group.name for group in self.groups)}",
            )
        for group in self.groups:
            if group.name not in values:
                raise ValuesError("every group needs a value", f"none for {group.name!r}", "Start from graph.zeros()")
            if tuple(values[group.name].shape) != group.shape:
                raise ValuesError(
                    f"values of group {group.name!r} have the shape {group.shape}",
                    str(tuple(values[group.name].shape)),
                    "Leave the batch axis out",
                )
        return {group.name: values[group.name].to(self.device, self.dtype) for group in self.groups}

    # products --------------------------------------------------------------------------------------------------------

    @property
    def T(self) -> Transposed:  # noqa: N802 (the name of a transpose in every array library)
        """The graph with all links turned round."""
        return Transposed(self)

    def __matmul__(self, x: Mapping[str, Tensor]) -> NodeValues:
        """What every neuron receives: the weighted sum over the neurons that link to it."""
        given = self._checked(x)
        with torch.no_grad():
            return self._whole(self.program.run(given, self._statics, self._links))

    def products(self, x: Mapping[str, Tensor], y: Mapping[str, Tensor]) -> tuple[NodeValues, NodeValues]:
        """``(A @ x, A.T @ y)``."""
        return self @ x, self.T @ y

    def strengths(self) -> tuple[NodeValues, NodeValues]:
        """In-strength and out-strength of every neuron: ``A @ 1`` and ``A.T @ 1``.

        Cheaper than the two products: where all channels have one value, kernels are summed before they are applied.
        """
        one = torch.ones((), dtype=self.dtype, device=self.device)
        equal = {group.name: one.expand(group.shape) for group in self.groups}
        with torch.no_grad():
            received = self._whole(self.program.run(equal, self._statics, self._links))
        return received, self._pulled(equal)

    def _pulled(self, y: Mapping[str, Tensor]) -> NodeValues:
        """``A.T @ y``: the sums' gradient by the groups' values; the reading is linear, so any point will do."""
        shapes = self.program.shapes
        with torch.inference_mode(False), torch.enable_grad():
            zero = torch.zeros((), dtype=self.dtype, device=self.device)
            at = {group.name: zero.expand(group.shape).requires_grad_() for group in self.groups}
            received = {
                name: value
                for name, value in self.program.run(at, self._statics, self._links).items()
                if value.requires_grad
            }
            wanted = [y[name].reshape(shapes[name]) for name in received]
            pulled = torch.autograd.grad(list(received.values()), list(at.values()), wanted, materialize_grads=True)
        return NodeValues({name: value.detach() for name, value in zip(at, pulled, strict=True)})

    def _whole(self, received: Mapping[str, Tensor]) -> NodeValues:
        """One tensor a group, of the group's shape; zero where no link ends."""
        return NodeValues(
            {
                g.name: received[g.name].detach().reshape(g.shape)
                if g.name in received
                else torch.zeros(g.shape, dtype=self.dtype, device=self.device)
                for g in self.groups
            }
        )

    @property
    def _statics(self) -> Statics:
        return self._prepared()[0]

    @property
    def _links(self) -> Links:
        return self._prepared()[1]

    def _prepared(self) -> tuple[Statics, Links]:
        """What products need of the weights, made anew when the weights have been changed in place."""
        tensors = [tensor for tensor in self.state.values() if isinstance(tensor, Tensor)]
        versions = tuple(-1 if tensor.is_inference() else tensor._version for tensor in tensors)
        if self._kept is None or self._kept[0] != versions:
            with torch.inference_mode(False), torch.no_grad():
                statics, links = self.program.statics(self.state), Links(self._maps, dtype=self.dtype)
                links.keep([v for v in statics.values() if isinstance(v, Tensor) and v.is_floating_point()])
            self._kept = (versions, statics, links)
        return self._kept[1:]

    # other graphs ----------------------------------------------------------------------------------------------------

    def abs(self) -> NeuralGraph:
        """The same graph with the absolute value of every link's weight."""
        return NeuralGraph(self.program, self.state, (*self._maps, absolute))

    def square(self) -> NeuralGraph:
        """The same graph with the square of every link's weight."""
        return NeuralGraph(self.program, self.state, (*self._maps, square))

    def binary(self) -> NeuralGraph:
        """The same graph with weight 1 for every link whose weight is not zero."""
        return NeuralGraph(self.program, self.state, (*self._maps, presence))

    def at(self, state_dict: Mapping[str, Tensor]) -> NeuralGraph:
        """The same graph at another snapshot: other weights of the same network.

        Raises:
            WeightsError: If a parameter or buffer that the program reads is missing or has another shape.
        """
        state = dict(self.state)
        for name in dict.fromkeys(self.program.names.values()):
            if name not in state_dict:
                if name in self.program.exported.constants:
                    continue
                raise WeightsError(
                    "a snapshot holds every parameter and buffer of the network",
                    f"none called {name!r}",
                    "Take it from model.state_dict() of the captured model",
                )
            if state_dict[name].shape != self.state[name].shape:
                raise WeightsError(
                    f"{name!r} has the shape {tuple(self.state[name].shape)} in the captured network",
                    str(tuple(state_dict[name].shape)),
                    "Capture the network that this snapshot belongs to",
                )
            state[name] = state_dict[name].detach()
        return NeuralGraph(self.program, state, self._maps)

    def from_group(self, source: str, values: Tensor) -> dict[str, Tensor]:
        r"""What every group receives when one group alone sends.

        Args:
            source: Name of the group.
            values: Many values for it at once, of shape (n, \*shape of the group).

        Returns:
            By group that links of the source reach: a tensor of shape (n, \*shape of that group).
        """
        statics, links, shapes = self._statics, self._links, {group.name: group.shape for group in self.groups}
        with torch.no_grad():
            received = torch.func.vmap(
                lambda one: self.program.run({source: one}, statics, links, source=source), chunk_size=256
            )(values)
        return {name: value.reshape(len(values), *shapes[name]) for name, value in received.items()}

    def channels(self, weights: Literal["norm", "sum"] = "norm") -> ChannelGraph:
        """The rolled graph: one node a channel, whatever its places and time steps; a recurrent unit links to itself.

        Args:
            weights: ``"norm"``: a link is the L2 norm of the kernel between two channels. ``"sum"``: the signed sum of
                the kernel's weights, for a linear or recurrent layer the weight itself.

        Raises:
            ConfigurationError: ``weights`` is neither of the two.
        """
        from axonometry.program.rolling import channel_graph

        if weights not in ("norm", "sum"):
            raise ConfigurationError("weights is 'norm' or 'sum'", repr(weights), "Choose one of them")
        return channel_graph(self, weights)

    # weights ---------------------------------------------------------------------------------------------------------

    def kernel(self, synapse: str) -> Kernel:
        """The weights of a synapse and what normalisation folds into them, before any map such as :meth:`abs`.

        Raises:
            ValuesError: If there is no synapse of that name.
        """
        if synapse not in self.program.junctions:
            raise ValuesError(
                "a kernel is asked for by the name of a synapse",
                repr(synapse),
                f"The synapses are: {', '.join(s.name for s in self.synapses)}",
            )
        with torch.no_grad():
            return self.program.kernel(synapse, self._statics)

    def kernels(self) -> dict[str, Kernel]:
        """The kernel of every synapse, by name."""
        statics = self._statics
        with torch.no_grad():
            return {synapse.name: self.program.kernel(synapse.name, statics) for synapse in self.synapses}

    def biases(self) -> NodeValues:
        """The constant term of every neuron's local field: biases, and the shifts of folded normalisation."""
        zeros = dict(self.zeros())
        with torch.no_grad():
            return self._whole(self.program.run(zeros, self._statics, Links(dtype=self.dtype, constants=True)))

    # matrices --------------------------------------------------------------------------------------------------------

    def to_scipy(self) -> scipy.sparse.csr_array:
        """The adjacency matrix, ``A[target, source]``, neurons in the order of ``NodeValues.flatten``.

        Links of weight zero are not stored; parallel links are one entry, their sum.

        Raises:
            TooLargeError: If the matrix or the work to find it would take more than 2 GiB.
        """
        from axonometry.program.matrices import sparse_matrix

        return sparse_matrix(self)

    def to_networkx(self) -> networkx.DiGraph[Any]:
        """A directed graph whose nodes are pairs (group, index inside the group) and whose edges have a ``weight``.

        Raises:
            TooLargeError: As :meth:`to_scipy`.
            MissingExtraError: If networkx is not installed.
        """
        from axonometry.program.matrices import networkx_graph

        return networkx_graph(self)


class Transposed:
    """A graph with all its links turned round; made by ``graph.T``."""

    def __init__(self, graph: NeuralGraph) -> None:
        self._graph = graph

    @property
    def T(self) -> NeuralGraph:  # noqa: N802
        """The graph itself."""
        return self._graph

    def __matmul__(self, y: Mapping[str, Tensor]) -> NodeValues:
        """What every neuron sends: the weighted sum over the neurons that it links to."""
        return self._graph._pulled(self._graph._checked(y))
