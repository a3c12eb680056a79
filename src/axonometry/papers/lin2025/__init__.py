"""Lin et al. 2025 (arXiv 2501.02436): six experiments on neuron modes, linear maps and attraction basins.

An experiment is a list of items, each a network that is trained and measured at its moments (``items``, ``learning``,
``measuring``, ``plans``); its module reads the outcomes and says which of the paper's statements hold here. The set-ups
are an account's of the paper's version 5 where it has them; the rest is our choice and said on the page.
"""
