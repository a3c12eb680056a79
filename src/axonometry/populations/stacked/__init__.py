"""Many networks of one architecture trained as one: a stack of their weights, updated by ``torch.func.vmap``."""

from axonometry.populations.stacked.run import (
    alike as alike,
    alone_in_words as alone_in_words,
    run_stacked as run_stacked,
    stacks as stacks,
    train_stacked as train_stacked,
    why_alone as why_alone,
)
