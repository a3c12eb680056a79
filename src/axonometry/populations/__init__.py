"""Many networks: data sets, reference networks, configurations, and training them anywhere."""

from axonometry.populations.configuration import OPTIMISERS as OPTIMISERS
from axonometry.populations.configuration import RunConfiguration as RunConfiguration
from axonometry.populations.datasets import Dataset as Dataset
from axonometry.populations.initialisers import INITIALISERS as INITIALISERS
from axonometry.populations.initialisers import PAPER_INITIALISERS as PAPER_INITIALISERS
from axonometry.populations.initialisers import initialise as initialise
from axonometry.populations.networks import FAMILIES as FAMILIES
from axonometry.populations.networks import Convolutional as Convolutional
from axonometry.populations.networks import FullyConnected as FullyConnected
from axonometry.populations.networks import LeNet as LeNet
from axonometry.populations.population import AccuracyBin as AccuracyBin
from axonometry.populations.population import Population as Population
from axonometry.populations.population import load_population as load_population
from axonometry.populations.population import train_population as train_population
from axonometry.populations.protocols import draw as draw
from axonometry.populations.protocols import grid as grid
from axonometry.populations.protocols import ictai2021 as ictai2021
from axonometry.populations.protocols import ictai2021_cnn_ensemble as ictai2021_cnn_ensemble
from axonometry.populations.resnet import ResNet as ResNet
from axonometry.populations.training import evaluate as evaluate
from axonometry.populations.training import train as train
