"""The catalogue compared: all measures of all papers on networks that are there, side by side.

How to read the results:

- A number is a measure's statistic: of the whole network where it has one, else the mean over layers. Correlations are
  Spearman's, inside one population (one architecture, one data set), and never of networks of different ones together.
- Only networks that learned are read: those whose final score reaches the options' least.
- Intervals are 95% bootstrap intervals over networks. A claim is judged by networks that had no part in choosing its
  number. Tables show many numbers side by side, uncorrected: what stands out there is a place to look, no finding.
- Length of training and norm of weights go with nearly everything; *beyond* them is what is left of ranks when theirs
  are regressed out.
- Basins and sharpness are taken of some networks and few samples, since they cost seconds each.
"""

from axonometry.experiments.catalogue.agreement import agreement
from axonometry.experiments.catalogue.chance import chance, costs
from axonometry.experiments.catalogue.measuring import CatalogueOptions as CatalogueOptions, measure_catalogue
from axonometry.experiments.catalogue.sections import accuracy, gap
from axonometry.experiments.catalogue.selection import selection
from axonometry.experiments.experiment import Experiment, Scale

CATALOGUE_COMPARED = Experiment(
    "catalogue",
    "The catalogue compared: which measure says what the others do not?",
    {"given": Scale(lambda seeds: (), about="Networks that are there.", options=CatalogueOptions())},
    measure_catalogue,
    (agreement, accuracy, gap, selection, chance, costs),
    about="All measures on the same networks: with each other, with score and gap, against chance, and what they cost.",
    how=__doc__,
)
"""The declaration; :func:`axonometry.experiments.run_on` runs it on populations that are there."""
