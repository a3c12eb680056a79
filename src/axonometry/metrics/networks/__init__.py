"""Network science on channel graphs: communities, cores, paths, motifs, percolation.

Definitions are those of the Brain Connectivity Toolbox (Rubinov and Sporns 2010), and on small graphs the numbers are
those of bctpy and igraph. Absolute weights, and a graph's ``W[i, j]``, the link from i to j, are meant throughout.
"""

# isort: off
from axonometry.metrics.networks.matrix import link_matrix, strongest
from axonometry.metrics.networks.communities import Communities, communities, modularity, participation, within_module_z
from axonometry.metrics.networks.cores import coreness, core_periphery, rich_club
from axonometry.metrics.networks.shortest import betweenness, clustering, efficiency, local_efficiency, small_world
from axonometry.metrics.networks.motifs import motifs
from axonometry.metrics.networks.percolation import percolation
from axonometry.metrics.networks.summary import channel_network

__all__ = [
    "Communities",
    "betweenness",
    "channel_network",
    "clustering",
    "communities",
    "core_periphery",
    "coreness",
    "efficiency",
    "link_matrix",
    "local_efficiency",
    "modularity",
    "motifs",
    "participation",
    "percolation",
    "rich_club",
    "small_world",
    "strongest",
    "within_module_z",
]
