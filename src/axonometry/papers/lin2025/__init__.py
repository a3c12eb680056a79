"""Lin et al. 2025 (arXiv 2501.02436): nine questions about neuron modes, linear maps and attraction basins.

Networks are ordinary runs (``scales``), measured from their snapshots (``measuring``); a section reads the table and
says which of the paper's claims hold here. The set-ups are an account's of the paper's version 5 where it has them; the
rest is our choice and said on the page.

How to read the results:

- Brackets are 95% intervals of Student's t over seeds, made on a scale on which the number has no ends; a seed draws
  the initial parameters, the samples, their order and their noise. **Three seeds are little.** Differences are taken
  seed by seed.
- The claims are an account's of the paper's version 5, which gives no seeds and no intervals. What was left open, and
  what was made smaller, stands with each section; thresholds marked so in the code are our choice.
- *Gradient* is the slope of the rank distribution: 0 where a layer's neurons know nothing of the classes, at most 6;
  mean over neurons and classes. *Order kept* is the share of pairs of samples that a neuron keeps in order.
- *Sample basin*: amplitude of Gaussian noise on the inputs (pixels from 0 to 1) at which accuracy falls to 50%; *weight
  basin*: the same of noise on the weights, in standard deviations of each layer's. 4 draws a sample,
  8 networks, bisected to 5%; 0 where accuracy is not above 50% without noise, and 10
  where no noise up to 10 brings it down. Their intervals over draws are not in the brackets.
- **Chosen after numbers of the scale medium had been seen**, of which no p knows; new seeds would settle it. Trends of
  basins with depth are slopes of logarithms, in place of Spearman's ρ, by which both were undecided. Depths at which
  not all seeds learn are left out of the curve of the best depth. The place of the peak is counted seed by seed, in
  place of a mean. Of cross entropy it was claimed that it has no peak, which was undecided; that the peak is smaller is
  what is left. The third phase has 4,000 images in place of 1,000, which networks learned by heart; they still do.
"""

from axonometry.experiments import Experiment
from axonometry.papers.lin2025.depth import depth
from axonometry.papers.lin2025.double_descent import double_descent
from axonometry.papers.lin2025.flat_minima import flat_minima
from axonometry.papers.lin2025.grokking import grokking
from axonometry.papers.lin2025.late_layers import late_layers
from axonometry.papers.lin2025.lmap import lmap
from axonometry.papers.lin2025.measuring import measure_networks
from axonometry.papers.lin2025.phases import phases, third_phase
from axonometry.papers.lin2025.running_statistics import running_statistics
from axonometry.papers.lin2025.scales import SCALES

EXPERIMENT = Experiment(
    "lin2025",
    "Lin et al. 2025: neuron modes and attraction basins in nine experiments",
    SCALES,
    measure_networks,
    (lmap, phases, late_layers, third_phase, running_statistics, depth, flat_minima, grokking, double_descent),
    about="Networks are trained in nine set-ups; what the paper says of their modes and basins is judged.",
    how=__doc__,
    defined=("neuron_modes", "rank_gradient", "linear_truncation"),
)
