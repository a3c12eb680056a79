"""What a checkpoint is in a few lines: architecture, parameters, layers by role, types, size."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from axonometry.checkpoints.checkpoint import Checkpoint, Entry
from axonometry.checkpoints.element_types import PAIRS, held_as

BUFFER = re.compile(
    r"(?:^|[./_])(running_mean|running_var|num_batches_tracked|moving_mean|moving_variance|inv_freq|position_ids"
    r"|token_type_ids|masked_bias|(input|weight|scale)_scale(_inv)?|scale_inv|weight_scale[^./]*|zero_point|SCB)$"
)
"""Ends of names of what is saved beside parameters and not learned; ``norm.scale`` and ``logit_scale`` are learned."""
MASK = re.compile(r"(?:^|[./])attn[./]bias$")
"""What GPT-2 calls its causal mask, a square; its biases are vectors, ``attn.c_attn.bias``."""
SCALES = "float8_e8m0fnu"
"""Type of nothing but the scales of blocks."""
FAMILIES = (
    ("low-rank adapters (LoRA)", r"lora_A", ""),
    ("T5", r"block\.(\d+)\.layer\.\d\.SelfAttention\.q\.", ""),
    ("CLIP", r"text_model\.encoder\.layers\.(\d+)\.", r"vision_model\."),
    ("BART and Whisper", r"decoder\.layers\.(\d+)\.encoder_attn\.", ""),
    ("GPT-2", r"\bh\.(\d+)\.attn\.c_attn\.", ""),
    ("GPT-NeoX (Pythia)", r"layers\.(\d+)\.attention\.query_key_value\.", ""),
    ("mixtures of experts like Mixtral", r"layers\.(\d+)\.(?:mlp|block_sparse_moe)\.experts?\.", r"q_proj\."),
    ("Llama and its kin (Mistral, Qwen, Gemma)", r"layers\.(\d+)\.self_attn\.q_proj\.", r"mlp\.gate_proj\."),
    ("Mamba", r"layers\.(\d+)\.mixer\.A_log", ""),
    ("ViT (transformers)", r"encoder\.layer\.(\d+)\.attention\.", r"patch_embeddings\."),
    ("BERT and its kin", r"encoder\.layer\.(\d+)\.attention\.self\.query\.", r"word_embeddings\."),
    ("ViT (timm)", r"blocks\.(\d+)\.attn\.qkv\.", r"patch_embed\."),
    ("U-Net of diffusers", r"down_blocks\.\d+\.resnets\.", r"up_blocks\."),
    ("ResNet", r"\blayer\d\.0\.conv1\.weight", r"\bfc\.weight"),
)
"""Families of networks; what one of their tensors is called, with the layer's number, and another. Stages of several
layers, such as a ResNet's ``layer1``, are not counted."""
ROLES = (
    ("embedding", r"(embed|wte|wpe|tok_embeddings|lookup)"),
    ("normalisation", r"(norm|\bln_|\bln\d|\.ln\.|\bbn\d|batch_norm|layer_norm|\bnorm\d)"),
    ("attention", r"(attn|attention|[qkv]_proj|\bq\b|\bk\b|\bv\b|qkv|in_proj|out_proj|c_attn)"),
    ("feed-forward", r"(mlp|ffn|feed_forward|fc\d|gate_proj|up_proj|down_proj|intermediate|experts?|c_fc)"),
    ("convolution", r"conv"),
    ("output", r"(lm_head|classifier|head|score|logits)"),
)
"""What names say of a tensor's role; the first that is met counts."""
LARGEST_CONFIGURATION = 2**24


@dataclass(frozen=True)
class Summary:
    """A checkpoint in a few lines.

    Attributes:
        path: Where it is.
        kind: Its format.
        architecture: What its configuration calls it; empty where there is none.
        names_of: The family whose names the tensors have, and how many layers; empty where none is known.
        tensors: How many.
        parameters: Numbers that are learned, tied ones once.
        buffers: Numbers that are not.
        bytes: Of all numbers in the file.
        roles: Parameters by role.
        types: Numbers by type.
        tied: Names of tensors that are one before them, and that one's name.
        left_out: What is in the file and is none of the weights.
    """

    path: str
    kind: str
    architecture: str
    names_of: str
    tensors: int
    parameters: int
    buffers: int
    bytes: int
    roles: dict[str, int]
    types: dict[str, int]
    tied: dict[str, str]
    left_out: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain dictionaries."""
        return asdict(self)


def summary(checkpoint: Checkpoint) -> Summary:
    """What a checkpoint is; nothing of its numbers is read."""
    roles: Counter[str] = Counter()
    types: Counter[str] = Counter()
    buffers = size = 0
    for name, entry in checkpoint.entries.items():
        count = math.prod(entry.shape) * (2 if entry.dtype == PAIRS else 1)
        if name in checkpoint.tied:
            continue
        size += math.prod(entry.shape) * held_as(entry.dtype).itemsize
        types[entry.stored or entry.dtype] += count
        if is_buffer(name, entry):
            buffers += count
        else:
            roles[role_of(name, entry.shape)] += count
    parts = {name: count for name, count in roles.most_common() if count}
    return Summary(
        str(checkpoint.path),
        checkpoint.kind,
        architecture_of(checkpoint.path),
        family_of(checkpoint.names),
        len(checkpoint),
        sum(parts.values()),
        buffers,
        size,
        parts,
        dict(types.most_common()),
        checkpoint.tied,
        checkpoint.left_out,
    )


def is_buffer(name: str, entry: Entry) -> bool:
    """Whether a tensor is saved beside the parameters and not learned, as its name and its type say.

    >>> is_buffer("h.0.attn.c_attn.bias", Entry((288,), "float32"))  # learned, other than GPT-2's mask, attn.bias
    False
    >>> is_buffer("bn1.running_mean", Entry((8,), "float32")), is_buffer("fc.weight", Entry((8, 8), "int8"))
    (True, False)
    """
    mask = MASK.search(name) is not None and len(entry.shape) > 1
    return mask or BUFFER.search(name) is not None or entry.dtype in ("bool", "int64", SCALES)


def family_of(names: Sequence[str]) -> str:
    """The family of networks whose tensors are called so, and how many layers there are.

    >>> family_of(
    ...     ["transformer.wte.weight", "transformer.h.0.attn.c_attn.weight", "transformer.h.1.attn.c_attn.weight"]
    ... )
    'GPT-2, 2 layers'

    Args:
        names: Of the tensors.
    """
    for family, pattern, other in FAMILIES:
        met = [found for name in names if (found := re.search(pattern, name))]
        if met and any(re.search(other, name) for name in names):
            numbers = {found.group(1) for found in met if found.re.groups}
            return f"{family}, {len(numbers)} layer{'s' * (len(numbers) != 1)}" if numbers else family
    return ""


def role_of(name: str, shape: tuple[int, ...]) -> str:
    """The role of a tensor, by its name and otherwise by its shape.

    >>> role_of("model.layers.0.self_attn.q_proj.weight", (64, 64)), role_of("0.weight", (8, 3, 3, 3))
    ('attention', 'convolution')
    """
    for role, pattern in ROLES:
        if re.search(pattern, name, re.IGNORECASE):
            return role
    return {0: "single numbers", 1: "vectors", 2: "linear"}.get(len(shape), "convolution")


def architecture_of(path: Path) -> str:
    """What ``config.json`` beside the weights calls the network; empty where it does not."""
    folder = path if path.is_dir() else path.parent
    place = folder / "config.json"
    try:
        if not place.is_file() or place.stat().st_size > LARGEST_CONFIGURATION:
            return ""
        told = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    names = told.get("architectures")
    if isinstance(names, list) and names:
        return ", ".join(str(name)[:100] for name in names[:5])
    return next((str(told[key])[:100] for key in ("_class_name", "model_type") if isinstance(told.get(key), str)), "")
