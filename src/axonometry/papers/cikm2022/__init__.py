"""Vahedian et al. 2021 (arXiv 2111.05410, CIKM 2022): do a few epochs of a network's graph tell how good it becomes?

Networks of several architectures are trained over grids of hyper-parameters; the temporal summary of their channel
graphs over the first epochs predicts the final accuracy. The paper's three questions: per architecture (RQ1), on unseen
architectures and widths (RQ2), and in time (RQ3). Other than in the paper, whatever is simpler stands beside it, in the
same folds: the validation curve, the hyper-parameters, statistics of the weights, one late snapshot. And because the
paper's grid gives much of the answer away (learning rates of 1e-6 learn nothing), there is a second one that does not.

How to read the results:

- A run is one sample. Its final accuracy is that after its last epoch, on the part of the test images that is also the
  validation curve's, which favours the curve.
- *n epochs known*: features come from the snapshots before training and after each of the first n epochs, and from
  nothing later. Sets: `degree` and `centrality` are moments of the channel graph's weighted degree and eigenvector
  centrality; `graph` is these, node strength, spectral norms, how the weights moved, and on the hard grid the spectrum
  of the linear map to the outputs; `last-accuracy` is the validation accuracy after n epochs; `curve`, the learning
  curves, is validation accuracy, validation loss and training loss so far; `snapshot` is the graph after n epochs
  alone; `weights` are statistics of each parameter (Unterthiner et al. 2020); `hyperparameters` are known before
  training.
- All sets are judged in the same 5 folds, which never split a configuration, with the same learners
  (forests and kernel machines, combined by their errors on runs that they did not see). Brackets are
  95% intervals: bootstrap draws of configurations, 1,000 of them, seeded. Differences are
  taken on the same draws. The tiny scale has fewer of both.
- R² is the share of the variance of final accuracy that is predicted: 0 for predicting the mean. Share right and AUC
  are of the class that a run falls into; each table says which classes.
- The definition of classes, features and learners is ours: the paper's were never released (definitions 3).
"""

from axonometry.experiments import Experiment
from axonometry.papers.cikm2022.predictions import measure_grids
from axonometry.papers.cikm2022.scales import MEASURES, SCALES
from axonometry.papers.cikm2022.sections import architectures, hard_grid, in_time, unseen

EXPERIMENT = Experiment(
    name="cikm2022",
    title="Vahedian et al. 2021: do a few epochs of a network's graph tell how good it becomes?",
    scales=SCALES,
    measure=measure_grids,
    sections=(architectures, hard_grid, unseen, in_time),
    about="The final accuracy of networks, predicted from their graphs' first epochs, beside what is simpler.",
    how=__doc__,
    defined=MEASURES,
)
