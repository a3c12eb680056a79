"""La Malfa et al. 2022 (arXiv 2209.05488) and 2024 (2404.11172, IJCAI): do these measures tell networks apart?

The paper's claim is that link weights, node strength, layer fluctuation, neuron strength and neuron activation
discriminate networks that differ in their number of parameters, the type of their layers, their activation, their task
and their performance. It shows densities. Here the claim is measured: conditions that differ in one thing and are
trained with the same draws of hyper-parameters; learners that see a measure's moments alone; networks that were not
learned from; and beside each area under the ROC curve, what the same networks' initial weights give, since sizes of
layers show before anything is learned.

How to read the results:

- A network is one sample. All conditions are trained with the same draws of optimiser, learning rate, scale of the
  initial weights, weight decay and seed; they differ in what the comparison names, and in what it is said to be
  confounded with.
- AUC: area under the ROC curve of one class against the rest, the mean over classes; 0.5 says nothing, 1 all.
  Learners (forests and kernel machines, combined by their errors on networks that they did not see) are fitted in
  5 folds; networks that share their hyper-parameters are never on both sides, whichever conditions
  they are of. The folds are the same for all measures. Brackets are 95% bootstrap intervals
  over draws of hyper-parameters (1,000 resamples, seeded); differences are on the same ones. The tiny
  scale has fewer of both.
- What the learners see of a measure: mean, median, standard deviation, skewness and kurtosis of its values over all
  hidden layers together, over the first and over the last one; of layer fluctuation, which is one number a layer, the
  mean and the first and last layer's. No number of neurons, links or layers, no extremes, neither inputs nor outputs.
- *before training* is the same of the initial weights. Where it is high already, the measure sees how the network is
  built, and not what it has learned. Weights are drawn by PyTorch's rule, whose scale depends on the number of inputs;
  and the moments of few numbers vary more than those of many, which tells a layer's size to who looks closely. Where
  there is nothing to learn, predictions of networks that were left out come out a little below 0.5.
- *scaled strength* is node strength over the root of the sum of the neuron's squared weights, which neither
  the number of links nor the weights' scale changes by itself. *weights* are statistics of all parameters (as in
  Unterthiner et al. 2020, pooled so that any network has them), without any graph; they see the outputs' too.
  *hyperparameters* are known before training, and the same in all conditions.
- Neuron strength and activation are taken on the first 100 test inputs of the networks' own data set. Their
  formulas are recalled, not read in the paper (definitions 2); the conditions, features and learners are ours.
- A claim about the five measures holds where the interval of all of them lies above 0.5 in all comparisons, and
  does not where all stay below 0.6.
"""

from axonometry.experiments import Experiment
from axonometry.papers.ijcai2024.comparisons import KINDS
from axonometry.papers.ijcai2024.features import MEASURES, measure_conditions
from axonometry.papers.ijcai2024.scales import SCALES
from axonometry.papers.ijcai2024.sections import against_weights, of_kind

EXPERIMENT = Experiment(
    name="ijcai2024",
    title="La Malfa et al. 2022, 2024: do these measures tell networks apart?",
    scales=SCALES,
    measure=measure_conditions,
    sections=(*map(of_kind, KINDS), against_weights),
    about="Networks that differ in one thing are told apart by each measure, before and after training.",
    how=__doc__,
    defined=MEASURES,
)
