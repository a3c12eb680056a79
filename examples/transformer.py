"""A language model of the Transformers library as a graph, with random weights and random text.

pip install axonometry transformers
python examples/transformer.py
"""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import axonometry as ax

torch.manual_seed(0)
config = LlamaConfig(
    vocab_size=200,
    hidden_size=64,
    intermediate_size=128,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
)
model = LlamaForCausalLM(config)
text = torch.randint(config.vocab_size, (32, 16))

# Token ids become one-hot input neurons; attention is uniform over what each token may attend to.
graph = ax.capture(model, text)
print(graph)
assert all(claim.role != "unclaimed" for claim in graph.coverage)

print(ax.link_weights(graph)[["synapse", "count", "std"]].to_string(index=False))
print(ax.layer_fluctuation(graph))

# With text, the links between tokens are the probabilities of attention.
attention = ax.attention_strength(graph, text)
for layer, sent in attention.sent.items():
    print(f"{layer}: attention that each of the 16 tokens gets, over 4 heads")
    print(sent.mean(0).numpy().round(2))
