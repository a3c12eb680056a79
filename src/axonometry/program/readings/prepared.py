"""A graph's weights at one moment, prepared for products."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from axonometry.program.ir import Program, Statics
from axonometry.program.links import Links, Map
from axonometry.program.readings.adjacency import statics_of
from axonometry.program.weights.module_weights import common_device, common_dtype


@dataclass(frozen=True)
class Prepared:
    """A program with the weights of one moment.

    It is made anew for each product: a change of weights leaves no trace that could be relied on (``p.data.mul_(2)``
    changes neither the tensor's identity nor its version), and preparing costs little beside a product.

    Attributes:
        program: The captured network without its weights.
        state: Parameters and buffers by state-dict name.
        maps: What is done to every coefficient.
    """

    program: Program
    state: Mapping[str, Tensor]
    maps: tuple[Map, ...]

    @cached_property
    def dtype(self) -> torch.dtype:
        """The type that products are computed in: the weights', but at least float32."""
        return common_dtype(self.program.parameters, self.state)

    @cached_property
    def device(self) -> torch.device:
        """Where the weights are."""
        return common_device(self.state)

    @cached_property
    def statics(self) -> Statics:
        """By node of the program, what does not depend on the input: parameters, buffers, what is computed of them."""
        assert self.dtype.is_floating_point  # complex weights are refused before anything is made of them
        with torch.inference_mode(False), torch.no_grad():
            return statics_of(self.program, self.state)

    @cached_property
    def links(self) -> Links:
        """What readings pass coefficients through: the maps that make link weights of them."""
        links = Links(self.maps, dtype=self.dtype)
        links.keep([v for v in self.statics.values() if isinstance(v, Tensor) and v.is_floating_point()])
        return links
