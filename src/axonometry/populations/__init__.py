"""Many networks: data sets, reference networks, configurations, and training them anywhere."""

from axonometry.populations.accuracy_bins import AccuracyBin as AccuracyBin
from axonometry.populations.autoencoders import (
    ConvolutionalAutoencoder as ConvolutionalAutoencoder,
    DenseAutoencoder as DenseAutoencoder,
)
from axonometry.populations.cifar_networks import AlexNetLike as AlexNetLike, LeNet as LeNet, VGGLike as VGGLike
from axonometry.populations.cifar_resnet import CifarResNet as CifarResNet
from axonometry.populations.configuration import RunConfiguration as RunConfiguration
from axonometry.populations.datasets import DATASETS as DATASETS, Dataset as Dataset
from axonometry.populations.families import NETWORKS as NETWORKS, Architecture as Architecture
from axonometry.populations.initialisers import (
    INITIALISERS as INITIALISERS,
    PAPER_INITIALISERS as PAPER_INITIALISERS,
    initialise as initialise,
)
from axonometry.populations.layers import ACTIVATIONS as ACTIVATIONS
from axonometry.populations.many import train_population as train_population
from axonometry.populations.networks import Convolutional as Convolutional, FullyConnected as FullyConnected
from axonometry.populations.objectives import OBJECTIVES as OBJECTIVES, accuracy_and_loss as accuracy_and_loss
from axonometry.populations.optimisers import OPTIMISERS as OPTIMISERS
from axonometry.populations.population import (
    Population as Population,
    load_population as load_population,
)
from axonometry.populations.protocols import (
    cikm2022 as cikm2022,
    draw as draw,
    draw_hard_grid as draw_hard_grid,
    grid as grid,
    ictai2021 as ictai2021,
    ictai2021_cnn_ensemble as ictai2021_cnn_ensemble,
)
from axonometry.populations.resnet import ResNet as ResNet
from axonometry.populations.sequence_networks import Attention as Attention, Recurrent as Recurrent
from axonometry.populations.stacked import train_stacked as train_stacked
from axonometry.populations.training import train as train
