"""Networks of one architecture as one: their parameters are the rows of a matrix, and torch.func maps over the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.optim import Optimizer

from axonometry.errors import ConfigurationError
from axonometry.populations.configuration import RunConfiguration
from axonometry.populations.layers import dropouts
from axonometry.populations.optimisers import OPTIMISERS, Rates, StackedForm


class Stack:
    """Networks that are trained together, as they stand after the same number of updates.

    Two networks of one linear layer (3 -> 2) are a matrix of two rows and 8 columns:

        network 0 | six weights | two biases |
        network 1 | six weights | two biases |

    ``vmap`` runs the template's code once with each row, cut into weights and biases, and each row's own batch. The sum
    of both losses has as its gradient a matrix of the same shape, whose row 0 is network 0's own gradient, since
    network 1's loss does not depend on row 0. The optimiser's update is then a few operations on whole matrices,
    however many layers there are: that is what fills a GPU.

    Args:
        template: A network of their architecture, for its code; with dropout layers where any of them has some, since a
            rate of 0 drops nothing.
        configurations: What they are; they may differ in what :func:`axonometry.populations.stacked.alike` leaves free.
        networks: The networks themselves, on the CPU; they are read here and left alone.
        optimisers: Theirs, likewise.
        step: Updates done.
        device: Where the stack lives.

    Attributes:
        configurations: Of the networks that are in the stack now.
        step: Updates done.
    """

    def __init__(
        self,
        template: nn.Module,
        configurations: Sequence[RunConfiguration],
        *,
        networks: Sequence[nn.Module],
        optimisers: Sequence[Optimizer],
        step: int,
        device: torch.device,
    ) -> None:
        self.configurations, self.step = list(configurations), step
        self._device, self._descent = device, stacked_form(configurations[0])
        self._template = template.to(device)
        self._shapes = {name: parameter.shape for name, parameter in networks[0].named_parameters()}
        self._weights = torch.stack([_row(list(network.parameters())) for network in networks]).to(device)
        self._memory = {
            name: torch.stack([_remembered(optimiser, name) for optimiser in optimisers]).to(device)
            for name in self._descent.memories
        }
        # Buffers are stacked like weights, but no optimiser sees them: a batch norm's running mean is (networks,
        # channels).
        buffers = [dict(network.named_buffers()) for network in networks]
        self._buffers = {name: torch.stack([named[name] for named in buffers]).to(device) for name in buffers[0]}
        self._set_rates()

    def _set_rates(self) -> None:
        self._rates = Rates.of(self.configurations, self._device)
        self._dropout = torch.tensor([c.dropout for c in self.configurations], device=self._device)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these networks alone."""
        chosen = torch.tensor(rows, dtype=torch.int64, device=self._device)
        self.configurations = [self.configurations[row] for row in rows]
        self._weights = self._weights[chosen]
        self._memory = {name: memory[chosen] for name, memory in self._memory.items()}
        self._buffers = {name: buffer[chosen] for name, buffer in self._buffers.items()}
        self._set_rates()

    def update(
        self,
        inputs: Shaped[Tensor, "networks batch ..."],
        labels: Int[Tensor, "networks batch"],
        noise: Sequence[Float[Tensor, "networks batch _"]] = (),
    ) -> Float[Tensor, " networks"]:
        """One update of every network, each on a batch of its own; their losses before it.

        Args:
            inputs: Each network's batch.
            labels: Likewise.
            noise: Uniform random numbers for each dropout layer.
        """
        # The matrix itself is the leaf, not its parts: one gradient of one shape comes back, and no part is copied.
        weights = self._weights.requires_grad_()
        logits = self._logits(self._template.train(), weights, inputs, noise)
        losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(labels.shape).mean(1)
        # A network's loss depends on its own row alone: the gradient of the sum is every network's own gradient.
        (gradient,) = torch.autograd.grad(losses.sum(), weights)
        self._weights, self.step = weights.detach(), self.step + 1
        with torch.no_grad():
            self._descent.update(self._weights, gradient, self._memory, self._rates, self.step)
        return losses.detach()

    @torch.no_grad()
    def evaluate(
        self, inputs: Shaped[Tensor, "images ..."], labels: Int[Tensor, " images"], batch: int
    ) -> tuple[list[float], list[float]]:
        """Accuracy and mean cross entropy of every network in evaluation mode.

        Args:
            inputs: Images, the same for all.
            labels: Theirs.
            batch: Images at a time.
        """
        correct = torch.zeros(len(self.configurations), dtype=torch.int64, device=self._device)
        loss = torch.zeros(len(self.configurations), dtype=torch.float64, device=self._device)
        for some_inputs, some_labels in zip(inputs.split(batch), labels.split(batch), strict=True):
            logits = self._logits(self._template.eval(), self._weights, some_inputs, (), shared=True)
            shown = some_labels.expand(len(logits), -1)
            correct += (logits.argmax(2) == shown).sum(1)
            entropies = F.cross_entropy(logits.flatten(0, 1), shown.flatten(), reduction="none")
            loss += entropies.view(shown.shape).sum(1)
        return (correct / len(labels)).tolist(), (loss / len(labels)).tolist()

    def write(self, networks: Sequence[nn.Module], optimisers: Sequence[Optimizer]) -> None:
        """Put the networks and optimisers where the stack is, so that they could continue one at a time."""
        weights = self._parts(self._weights)
        memory = {name: self._parts(values) for name, values in self._memory.items()}
        buffers = {name: values.cpu() for name, values in self._buffers.items()}
        for row, (network, optimiser) in enumerate(zip(networks, optimisers, strict=True)):
            parameters = {name: values[row] for name, values in weights.items()}
            network.load_state_dict(parameters | {name: values[row] for name, values in buffers.items()}, strict=True)
            # torch's optimisers remember nothing before their first update; a state of zeros would not be what a run
            # alone has.
            if self.step:
                for name, parameter in network.named_parameters():
                    own = {key: values[name][row].clone() for key, values in memory.items()}
                    optimiser.state[parameter] = _as_torch(self.configurations[row], own, self.step)

    def _logits(
        self,
        template: nn.Module,
        weights: Float[Tensor, "networks parameters"],
        inputs: Tensor,
        noise: Sequence[Tensor],
        *,
        shared: bool = False,
    ) -> Float[Tensor, "networks batch classes"]:
        layers = dropouts(template)

        def one(
            parameters: Mapping[str, Tensor],
            buffers: Mapping[str, Tensor],
            x: Tensor,
            rate: Tensor,
            numbers: Sequence[Tensor],
        ) -> Tensor:
            # The layers are the template's, shared by all networks; under vmap `rate` and `drawn` stand for all rows at
            # once.
            for layer, drawn in zip(layers, numbers):  # none are drawn for evaluation
                layer.rate, layer.noise = rate, drawn
            return functional_call(template, {**parameters, **buffers}, (x,))

        try:
            mapped = vmap(one, in_dims=(0, 0, None if shared else 0, 0, 0))
            return mapped(self._split(weights), self._buffers, inputs, self._dropout, list(noise))
        finally:
            for layer in layers:  # what vmap handed out is of no use outside it
                layer.rate, layer.noise = 0.0, None

    def _split(self, rows: Float[Tensor, "networks parameters"]) -> dict[str, Tensor]:
        # One split, whose gradient is one concatenation; a slice a parameter would cost a matrix of zeros each.
        columns = rows.split([shape.numel() for shape in self._shapes.values()], dim=1)
        return {
            name: part.unflatten(1, tuple(shape)) if shape else part[:, 0]
            for (name, shape), part in zip(self._shapes.items(), columns, strict=True)
        }

    def _parts(self, rows: Float[Tensor, "networks parameters"]) -> dict[str, Tensor]:
        return self._split(rows.detach().cpu())


def _row(parts: Sequence[Tensor]) -> Tensor:
    return torch.cat([part.detach().reshape(-1) for part in parts])


def _remembered(optimiser: Optimizer, name: str) -> Tensor:
    """What a network's optimiser remembers under a name, zeros where it remembers nothing yet."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    return _row([optimiser.state.get(p, {}).get(name, torch.zeros_like(p)) for p in parameters])


def _as_torch(configuration: RunConfiguration, memory: dict[str, Tensor], step: int) -> dict[str, Tensor]:
    """The state that torch's optimiser of a configuration has of one parameter."""
    # torch's SGD remembers nothing without momentum, and its Adam counts updates in a tensor a parameter: what is
    # written here has to be what a run that was trained alone would have saved, or it could not be resumed alone.
    if not stacked_form(configuration).counts:
        return memory if configuration.momentum else {}
    return {"step": torch.tensor(float(step)), **memory}


def stacked_form(configuration: RunConfiguration) -> StackedForm:
    """The stacked form of a configuration's optimiser.

    Raises:
        ConfigurationError: It has none.

    >>> stacked_form(RunConfiguration(optimiser="adam")).memories
    ('exp_avg', 'exp_avg_sq')
    """
    form = OPTIMISERS.lookup(configuration.optimiser).stacked
    if form is None:
        rule = "networks are trained in a stack by an optimiser with a stacked form"
        raise ConfigurationError(rule, configuration.optimiser, "Train them alone")
    return form
