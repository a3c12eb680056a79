"""Models of the Transformers library, with random weights made from a configuration: nothing is downloaded."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import axonometry as ax
from axonometry.program import NeuralGraph
from axonometry.program.readings.live import live_batches
from axonometry.testing import check_adjoint

os.environ.setdefault("HF_HUB_OFFLINE", "1")
transformers = pytest.importorskip("transformers", exc_type=ImportError)
transformers.logging.set_verbosity_error()
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

TOKENS, ROWS = 8, 50
SMALL = {"vocab_size": ROWS, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4}
NO_IDS = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None}


def gpt2() -> nn.Module:
    sizes = {"vocab_size": ROWS, "n_positions": 16, "n_embd": 16, "n_layer": 2, "n_head": 2}
    return transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes, **NO_IDS))


def llama() -> nn.Module:
    sizes = {**SMALL, "intermediate_size": 24, "num_key_value_heads": 2, "max_position_embeddings": 16}
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(**sizes, **NO_IDS))


def bert() -> nn.Module:
    sizes = {**SMALL, "intermediate_size": 24, "max_position_embeddings": 16, "pad_token_id": 0}
    return transformers.BertForSequenceClassification(transformers.BertConfig(**sizes))


def vit() -> nn.Module:
    sizes = {k: v for k, v in SMALL.items() if k != "vocab_size"}
    sizes |= {"intermediate_size": 24, "image_size": 8, "patch_size": 4}
    return transformers.ViTForImageClassification(transformers.ViTConfig(**sizes))


def t5() -> nn.Module:
    sizes = {"vocab_size": ROWS, "d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 2, "num_heads": 4}
    ids = {"pad_token_id": 0, "decoder_start_token_id": 0, "eos_token_id": 1}
    return transformers.T5ForConditionalGeneration(transformers.T5Config(**sizes, **ids))


def neox() -> nn.Module:
    sizes = {**SMALL, "intermediate_size": 24, "max_position_embeddings": 16}
    return transformers.GPTNeoXForCausalLM(transformers.GPTNeoXConfig(**sizes, **NO_IDS))


MODELS: dict[str, Callable[[], nn.Module]] = {
    "gpt2": gpt2,
    "llama": llama,
    "bert": bert,
    "vit": vit,
    "t5": t5,
    "neox": neox,
}
every_model = pytest.mark.parametrize("name", MODELS)


def inputs_of(name: str, n: int) -> dict[str, Tensor]:
    """Inputs by the forward's names; the texts are padded behind a different number of tokens each."""
    generator = torch.Generator().manual_seed(n)
    if name == "vit":
        return {"pixel_values": torch.randn(n, 3, 8, 8, generator=generator)}
    ids = torch.randint(2, ROWS, (n, TOKENS), generator=generator)
    mask = torch.ones_like(ids)
    for i in range(n):
        mask[i, TOKENS - i % 3 :] = 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    return {**inputs, "decoder_input_ids": ids.flip(1)} if name == "t5" else inputs


@functools.cache
def captured(name: str) -> tuple[nn.Module, NeuralGraph]:
    torch.manual_seed(0)
    module = MODELS[name]().eval()
    with torch.no_grad():
        for parameter in module.parameters():  # large enough that attention is not uniform
            parameter.add_(0.3 * torch.randn_like(parameter))
    example = {key: value.clone() for key, value in inputs_of(name, 1).items()}
    return module, ax.capture(module, **example)


@every_model
def test_every_parameter_is_claimed(name: str) -> None:
    module, graph = captured(name)
    names = {key for key, _ in module.named_parameters(remove_duplicate=False)}
    assert {c.parameter for c in graph.coverage} == names
    assert not [c.parameter for c in graph.coverage if c.role == "unclaimed"]
    synapses = {c.parameter for c in graph.coverage if c.role == "synapse"}
    linear = {
        f"{path}.weight"
        for path, part in module.named_modules()
        if isinstance(part, nn.Linear | nn.Conv2d) or type(part).__name__ == "Conv1D"
    }
    assert linear <= synapses


@every_model
def test_adjoint(name: str) -> None:
    check_adjoint(captured(name)[1], draws=1)


@every_model
def test_live_pre_activations_are_what_hooks_see(name: str) -> None:
    """Every linear layer's output that no skip is added to, on a padded batch, is a group's pre-activation."""
    module, graph = captured(name)
    inputs = inputs_of(name, 5)
    seen: dict[str, Tensor] = {}
    handles = []
    for path, part in module.named_modules():
        if isinstance(part, nn.Linear | nn.Conv2d) or type(part).__name__ == "Conv1D":
            handles.append(part.register_forward_hook(lambda *a, path=path: seen.update({path: a[2]})))
    with torch.no_grad():
        module(**inputs)
    for handle in handles:
        handle.remove()
    sums = {wire.target for wire in graph.wires}
    fields = {}
    for batch in live_batches(graph, inputs, batch_size=2):
        for group, value in batch.pre_activations.items():
            fields.setdefault(group, []).append(value)
    compared = 0
    for path, value in seen.items():
        if path in fields and path not in sums:
            found = torch.cat(fields[path])
            torch.testing.assert_close(found, value.reshape(found.shape), rtol=1e-4, atol=1e-4)
            compared += 1
    assert compared >= 5


@every_model
def test_shared_weights_count_once_in_link_weights(name: str) -> None:
    module, graph = captured(name)
    table = ax.link_weights(graph)
    claimed = {c.parameter for c in graph.coverage if c.role == "synapse"}
    assert table["count"].sum() == sum(p.numel() for key, p in module.named_parameters() if key in claimed)


@every_model
def test_attention_is_the_library_s(name: str) -> None:
    """Probabilities written out by the library's plain implementation, over padded samples."""
    module, graph = captured(name)
    inputs = inputs_of(name, 5)
    sent = ax.attention_strength(graph, inputs, batch_size=2).sent
    module.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            found = module(**inputs, output_attentions=True)
        plain = ax.capture(module, **{key: value[:1] for key, value in inputs_of(name, 1).items()})
    finally:
        module.set_attn_implementation("sdpa")
    attentions = found.encoder_attentions if name == "t5" else found.attentions
    assert len(attentions) == 2
    for path, probabilities in zip(sent, attentions, strict=False):
        torch.testing.assert_close(sent[path], probabilities.double().sum(-2).mean(0), rtol=1e-5, atol=1e-5)
    strength, other = ax.node_strength(graph), ax.node_strength(plain)
    for group in strength:
        torch.testing.assert_close(strength[group], other[group], rtol=1e-4, atol=1e-4)
    assert plain.n_links == graph.n_links


def test_masked_tokens_reach_nobody() -> None:
    """The example's mask decides the wiring: what is padded sends nothing through attention."""
    module, _ = captured("bert")
    inputs = inputs_of("bert", 3)
    example: dict[str, Any] = {key: value[2:3] for key, value in inputs.items()}
    graph = ax.capture(module, **example)
    padded = [i for i, kept in enumerate(example["attention_mask"][0].tolist()) if not kept]
    assert padded == [6, 7]
    sent = (graph.abs().T @ graph.ones())["bert.encoder.layer.1.attention.self.value"]
    assert not sent[padded].any()
    assert bool((sent[:6] > 0).all())


def test_half_precision() -> None:
    module = llama().to(torch.bfloat16).eval()
    ids = inputs_of("llama", 4)["input_ids"]
    graph = ax.capture(module, ids[:1])
    assert not [c.parameter for c in graph.coverage if c.role == "unclaimed"]
    (batch,) = live_batches(graph, ids, batch_size=4)
    with torch.no_grad():
        logits = module(ids).logits
    assert batch.pre_activations["lm_head"].dtype == torch.bfloat16
    torch.testing.assert_close(batch.pre_activations["lm_head"], logits, rtol=0.05, atol=0.05)
    assert ax.node_strength(graph)["lm_head"].isfinite().all()
