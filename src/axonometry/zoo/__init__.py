"""Zoos: many small networks to learn from, published ones and our own, and what predicts their accuracy."""

from axonometry.zoo.converting import convert_zoo as convert_zoo
from axonometry.zoo.description import ZooDescription as ZooDescription, describe_zoo as describe_zoo
from axonometry.zoo.evaluation import ZooEvaluation as ZooEvaluation, ZooPlan as ZooPlan, evaluate_zoo as evaluate_zoo
from axonometry.zoo.making import PRESETS as PRESETS, make_zoo as make_zoo
from axonometry.zoo.opening import Zoo as Zoo, open_zoo as open_zoo
from axonometry.zoo.readers import read_published as read_published
