"""La Malfa et al. 2021 (arXiv 2110.02628): do networks that do better have other graphs?

Ensembles of networks of one architecture and one initialisation are trained, grouped by test accuracy, and compared
layer by layer. The paper reads its claims off figures of densities. Here they are tested with networks as the sample:
whether layer fluctuation rises with accuracy (rank correlation), and whether node strength tells accurate networks from
inaccurate ones where link weights do not (area under the ROC curve). Other than in the official code, one seed is one
sample, and accuracy bins do not overlap.

How to read the results:

- A network is one sample. Its accuracy is that on the test images after its last update; all measures are of the same
  weights, counted as in the paper's code (convention `ictai2021`).
- ρ is Spearman's rank correlation with accuracy over networks. *Trained alike* is the same correlation of ranks inside
  the groups of networks that had the same optimiser and the same number of updates, so that they differ by their seed
  alone: what is left when neither more training nor a better optimiser can make both numbers rise.
- AUC is how often a number is greater in a network of the high third (by accuracy) than in one of the low third: 0.5
  says nothing, 0 and 1 tell them apart without error. The numbers were chosen beforehand: mean and standard deviation
  of each layer's link weights and node strengths; the standard deviation of strength is the layer fluctuation.
- Brackets hold 95% intervals: 2,000 bootstrap draws of networks, seeded, for one number at a time. p is
  Mann-Whitney's, adjusted by Holm's method for all rows of its table.
- Divergence is Jeffreys', in nats, between the values of a layer pooled over the high third and over the low third
  (up to 2,000 values of each network). *Relabelled* is the greatest of 10 random relabellings of the
  same networks: what chance alone gives.
- In the paper's own figure of small fully connected networks (scale 0.05, first hidden layer, all nine initialisers)
  the modes of layer fluctuation go from 0.3-1 in the lowest accuracy bin to about 20 in the highest [read off it].
"""

from axonometry.experiments import Experiment
from axonometry.papers.ictai2021.ensembles import MEASURES
from axonometry.papers.ictai2021.halves import measure_with_halves, reliability
from axonometry.papers.ictai2021.scales import SCALES
from axonometry.papers.ictai2021.sections import densities, fluctuation, one_network, separation

EXPERIMENT = Experiment(
    name="ictai2021",
    title="La Malfa et al. 2021: does a network's graph tell how good it is?",
    about="Ensembles of networks are trained and compared by accuracy, layer by layer.",
    how=__doc__,
    scales=SCALES,
    measure=measure_with_halves,
    defined=MEASURES,
    sections=(fluctuation, reliability, separation, densities, one_network),
)
