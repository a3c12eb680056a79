"""Zero-cost proxies: numbers of an untrained network that are said to tell how well it will learn."""

from axonometry.metrics.zero_cost.proxies import PROXIES as PROXIES, proxies as proxies
