"""Large transformers of the Transformers library, with random weights, and recurrent networks of many time steps."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import axonometry as ax
from benchmarks.timing import Row, compare, fresh_capture

TOKENS = 128
MEASURES = ("link_weights", "node_strength", "layer_fluctuation")


def gpt2() -> nn.Module:
    """GPT-2 in its smallest published size: 124 million parameters."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(GPT2Config())


def llama() -> nn.Module:
    """A Llama of 1.2 billion parameters in bfloat16, shaped as Llama 3.2 1B."""
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {"vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
    heads = {"num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": True}
    torch.set_default_dtype(torch.bfloat16)
    return LlamaForCausalLM(LlamaConfig(**sizes, **heads, max_position_embeddings=2 * TOKENS))


MODELS: dict[str, Callable[[], nn.Module]] = {"gpt2": gpt2, "llama": llama}


def transformers() -> list[Row]:
    """Capture, paper 1's measures and memory, each model in a process of its own."""
    small, large = (_measured(name) for name in MODELS)
    times = small["memory"] / small["weights"]
    capture, taken, total = small["capture"], small["measures"], large["memory"]
    size, tokens = f"GPT-2, {small['parameters'] / 1e6:.0f} M parameters", f"{TOKENS} tokens"
    measures = "link weights, node strength and layer fluctuation"
    shape = f"Llama-shaped, {large['parameters'] / 1e9:.2f} billion parameters in bfloat16"
    return [
        Row(f"capture of {size}, {tokens}", f"{capture:.1f} s", "at most 20 s", capture <= 20, 1, ""),
        Row(f"{measures} of {size}, {tokens}", f"{taken:.1f} s", "at most 5 s", taken <= 5, 1, ""),
        Row(
            f"peak memory of capture and measures, {size}",
            f"{times:.2f} times the weights",
            "at most 3",
            times <= 3,
            1,
            f"{small['memory'] / 1e6:.0f} MB beside {small['weights'] / 1e6:.0f} MB of weights, libraries not counted",
        ),
        Row(
            f"peak memory of capture and measures, {shape}, {tokens}",
            f"{total / 1e9:.1f} GB",
            "at most 8 GB",
            total <= 8e9,
            1,
            f"of which {large['weights'] / 1e9:.1f} GB weights; capture {large['capture']:.0f} s, "
            f"measures {large['measures']:.0f} s",
        ),
    ]


def _measured(name: str) -> dict[str, float]:
    call = [sys.executable, "-m", "benchmarks.architectures", name]
    found: dict[str, float] = json.loads(
        subprocess.run(call, check=True, capture_output=True, text=True).stdout.splitlines()[-1]
    )
    return found


def one_model(name: str) -> dict[str, float]:
    """Seconds and bytes of one model, in this process."""
    build = MODELS[name]
    import transformers.models.auto  # noqa: F401 - what a process with the library holds anyway

    libraries = _peak()
    model = build().eval()
    torch.set_default_dtype(torch.float32)
    parameters = list(model.parameters())
    example = torch.zeros(1, TOKENS, dtype=torch.long)
    start = time.perf_counter()
    graph = ax.capture(model, example)
    captured = time.perf_counter()
    ax.measure(graph, MEASURES)
    done = time.perf_counter()
    assert not [c for c in graph.coverage if c.role == "unclaimed"]
    return {
        "capture": captured - start,
        "measures": done - captured,
        "memory": _peak() - libraries,
        "weights": sum(p.numel() * p.element_size() for p in parameters),
        "parameters": sum(p.numel() for p in parameters),
    }


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Loop(nn.Module):
    """A cell called step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.cell, self.out = nn.LSTMCell(28, 64), nn.Linear(64, 10)

    def forward(self, x: Tensor) -> Tensor:
        """The logits behind the last state."""
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        assert state is not None
        return self.out(state[0])


def recurrent() -> list[Row]:
    """Capture and node strength of 128 time steps, against a quarter of them."""
    return [*_steps("nn.LSTM", nn.LSTM(28, 64, batch_first=True)), *_steps("a loop over nn.LSTMCell", Loop())]


def _steps(name: str, module: nn.Module) -> list[Row]:
    long, short = torch.zeros(1, TOKENS, 28), torch.zeros(1, TOKENS // 4, 28)
    captured = compare(lambda: fresh_capture(module, long), lambda: fresh_capture(module, short), n=3)
    many, few = ax.capture(module, long), ax.capture(module, short)
    strength = compare(lambda: ax.node_strength(many), lambda: ax.node_strength(few), n=9)
    return [
        captured.at_most(f"capture of {name}, {TOKENS} steps against {TOKENS // 4}", 4.5),
        strength.at_most(f"node strength of {name}, {TOKENS} steps against {TOKENS // 4}", 4.5),
    ]


if __name__ == "__main__":
    print(json.dumps(one_model(sys.argv[1])))
