"""Many networks: data sets, reference networks, configurations, and training them anywhere."""

from axonometry.populations.configuration import OPTIMISERS as OPTIMISERS, RunConfiguration as RunConfiguration
from axonometry.populations.datasets import Dataset as Dataset
from axonometry.populations.initialisers import (
    INITIALISERS as INITIALISERS,
    PAPER_INITIALISERS as PAPER_INITIALISERS,
    initialise as initialise,
)
from axonometry.populations.networks import (
    FAMILIES as FAMILIES,
    Convolutional as Convolutional,
    FullyConnected as FullyConnected,
    LeNet as LeNet,
)
from axonometry.populations.population import (
    AccuracyBin as AccuracyBin,
    Population as Population,
    load_population as load_population,
    train_population as train_population,
)
from axonometry.populations.protocols import (
    draw as draw,
    grid as grid,
    ictai2021 as ictai2021,
    ictai2021_cnn_ensemble as ictai2021_cnn_ensemble,
)
from axonometry.populations.resnet import ResNet as ResNet
from axonometry.populations.training import evaluate as evaluate, train as train
