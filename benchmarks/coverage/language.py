"""Networks of transformers: every architecture's base model, from its own configuration with small numbers."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from torch import nn

from benchmarks.coverage import torchvision_operators
from benchmarks.coverage.network import Example, Network

LARGEST = 20_000_000
"""Parameters of a network that is small enough."""
SMALL: dict[str, int] = {
    **dict.fromkeys("hidden_size d_model n_embd dim embed_dim embedding_size model_dim hidden_dim emb_dim".split(), 32),
    **dict.fromkeys("encoder_hidden_size decoder_hidden_size projection_dim word_embed_proj_dim d_embed".split(), 32),
    **dict.fromkeys("text_embed_dim vision_embed_dim conv_dim output_dim pooler_output_size lru_width".split(), 32),
    **dict.fromkeys("intermediate_size ffn_dim encoder_ffn_dim decoder_ffn_dim d_inner d_ff n_inner".split(), 48),
    **dict.fromkeys("moe_intermediate_size shared_expert_intermediate_size mlp_dim dim_feedforward".split(), 48),
    **dict.fromkeys("num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers depth".split(), 2),
    **dict.fromkeys("encoder_num_hidden_layers decoder_num_hidden_layers num_encoder_layers".split(), 2),
    **dict.fromkeys("num_decoder_layers num_hidden_groups num_blocks n_blocks".split(), 2),
    **dict.fromkeys("num_attention_heads n_head n_heads num_heads encoder_attention_heads".split(), 4),
    **dict.fromkeys("decoder_attention_heads encoder_num_attention_heads decoder_num_attention_heads".split(), 4),
    **dict.fromkeys("num_key_value_heads num_kv_heads n_kv_heads num_local_experts num_experts".split(), 2),
    **dict.fromkeys("n_routed_experts moe_num_experts".split(), 4),
    **dict.fromkeys("num_experts_per_tok moe_k top_k num_selected_experts".split(), 2),
    **dict.fromkeys("head_dim d_kv d_head attention_head_dim".split(), 8),
    **dict.fromkeys("vocab_size text_vocab_size ".split(), 120),
    **dict.fromkeys("max_position_embeddings n_positions max_seq_len n_ctx max_source_positions".split(), 64),
    **dict.fromkeys("max_target_positions".split(), 64),
    "codebook_size": 128,
    "image_size": 32,
    "patch_size": 8,
    "q_lora_rank": 16,
    "kv_lora_rank": 16,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
DEPTHS = set("num_hidden_layers n_layer n_layers num_layers encoder_layers decoder_layers depth num_blocks".split())
DEPTHS |= set("encoder_num_hidden_layers decoder_num_hidden_layers num_encoder_layers num_decoder_layers".split())
KEYS = set("num_key_value_heads num_kv_heads n_kv_heads head_dim d_kv d_head attention_head_dim".split())
WIDTHS = set("conv_dim output_dim dim depth image_size patch_size codebook_size num_blocks n_blocks".split())
SIZES = set("vocab_size text_vocab_size image_size".split())
LEVELS = (set(SMALL), set(SMALL) - KEYS, set(SMALL) - KEYS - WIDTHS, DEPTHS | SIZES | {"intermediate_size"}, DEPTHS)
"""What is made smaller: all of it, else what is left where a network does not run with that."""


def transformers_networks() -> Iterator[Network]:
    """The base model of each configuration."""
    torchvision_operators.declare()
    import transformers  # noqa: F401
    from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES

    taken: set[str] = set()
    for name, classes in MODEL_MAPPING_NAMES.items():
        chosen = classes if isinstance(classes, str) else classes[0]
        if chosen not in taken:
            taken.add(chosen)
            yield Network("transformers", name, partial(_network, name, chosen))


def _network(name: str, chosen: str) -> Example:
    import transformers

    failures: list[Exception] = []
    for level in LEVELS:
        try:
            configuration = transformers.models.auto.configuration_auto.CONFIG_MAPPING[name]()
            shrink(configuration, level)
            with torch.device("meta"):
                size = sum(p.numel() for p in _made(chosen, configuration).parameters())
            if size > LARGEST:
                raise ValueError(f"{size / 1e6:.0f} million parameters")
            module = _made(chosen, configuration).eval()
            return Example(module, kwargs=_inputs_that_run(module, configuration))
        except Exception as error:  # noqa: BLE001 - whatever a library raises for numbers that it does not like
            failures.append(error)
    raise failures[0]


def _inputs_that_run(module: nn.Module, configuration: Any) -> dict[str, Any]:
    """The main input alone, else with those that a model of several kinds of input may ask for."""
    failure: Exception | None = None
    for more in (
        (),
        ("pixel_values",),
        ("input_features",),
        ("decoder_input_ids",),
        ("pixel_values", "decoder_input_ids"),
    ):
        try:
            inputs = inputs_of(module, configuration, more)
            with torch.no_grad():
                module(**inputs)
            return inputs
        except Exception as error:  # noqa: BLE001 - whatever a library raises for an input that is missing
            failure = failure or error
    assert failure is not None
    raise failure


def _made(chosen: str, configuration: Any) -> nn.Module:
    import transformers

    return getattr(transformers, chosen)._from_config(configuration, attn_implementation="eager")


def shrink(configuration: Any, names: set[str], depth: int = 0) -> None:
    """Make a configuration's numbers small, those of the configurations inside it as well."""
    for key, value in list(vars(configuration).items()):
        key_ = key.removeprefix("_")
        if hasattr(value, "to_dict") and depth < 3:
            shrink(value, names, depth + 1)
        elif key_ in names and isinstance(value, int) and not isinstance(value, bool) and value > SMALL[key_]:
            setattr(configuration, key, SMALL[key_])
        elif key_ == "image_size" in names and isinstance(value, (list, tuple)) and max(value) > 2 * SMALL[key_]:
            setattr(configuration, key, [SMALL[key_], 2 * SMALL[key_]])  # kept oblong, as YOLOS's 512 by 864
        elif key_ in ("layer_types", "mlp_layer_types") and isinstance(value, list):
            kinds = list(dict.fromkeys(value))
            layers = getattr(configuration, "num_hidden_layers", 2)
            setattr(configuration, key, (kinds * 2)[:layers] if len(kinds) > 1 else kinds * layers)
        elif key_ == "depths" and isinstance(value, (list, tuple)):
            setattr(configuration, key, [1 for _ in value])
        elif key_.endswith("token_id") and isinstance(value, int) and value >= SMALL["vocab_size"]:
            setattr(configuration, key, 1 if "pad" not in key_ else 0)
        elif "dropout" in key_ and isinstance(value, float):
            setattr(configuration, key, 0.0)
    if hasattr(configuration, "use_cache"):
        configuration.use_cache = False


def inputs_of(module: nn.Module, configuration: Any, more: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a model's forward pass takes: two samples of whatever its argument's name says."""
    asked = inspect.signature(module.forward).parameters
    main = getattr(module, "main_input_name", "input_ids")
    text = getattr(configuration, "text_config", None) or configuration
    words = min(int(getattr(text, "vocab_size", None) or 100), 100)
    tokens = torch.randint(3, words, (2, 7))
    made: dict[str, Any] = {}
    for name in dict.fromkeys([main, *asked]):
        required = name in asked and asked[name].default is inspect.Parameter.empty
        if name != main and not required and name not in more:
            continue
        if name in ("kwargs", "args"):
            continue
        if name in ("input_ids", "decoder_input_ids", "text_input_ids"):
            made[name] = tokens
        elif name in ("pixel_values", "pixel_values_videos", "images"):
            made[name] = _pixels(module, configuration)
        elif name in ("input_values", "input_features", "audio_values", "waveform"):
            made[name] = _sound(configuration, name)
        elif name == "inputs_embeds":
            made[name] = torch.randn(2, 7, int(getattr(text, "hidden_size", 32)))
        elif name == "attention_mask":
            made[name] = torch.ones(2, 7, dtype=torch.long)
        else:
            raise ValueError(f"no example for the argument {name!r}")
    return made


def _pixels(module: nn.Module, configuration: Any) -> torch.Tensor:
    for part in (configuration, getattr(configuration, "vision_config", None)):
        size = getattr(part, "image_size", None)
        if size is not None:
            break
    size = size if size is not None else 64
    height, width = (size, size) if isinstance(size, int) else tuple(size)[-2:]
    channels = getattr(configuration, "num_channels", None) or getattr(configuration, "in_channels", None) or 3
    frames = getattr(configuration, "num_frames", None)
    if frames and any(word in type(module).__name__.lower() for word in ("video", "vivit", "timesformer", "vjepa")):
        return torch.randn(2, int(frames), int(channels), height, width)
    return torch.randn(2, int(channels), height, width)


def _sound(configuration: Any, name: str) -> torch.Tensor:
    bins = next((getattr(configuration, k) for k in ("num_mel_bins", "feature_size") if hasattr(configuration, k)), 80)
    if name == "input_values" and not hasattr(configuration, "num_mel_bins"):
        return torch.randn(2, 2000)
    length = getattr(configuration, "max_source_positions", 64)
    kind = type(configuration).__name__.lower()
    if "whisper" in kind or "audio" in kind:
        return torch.randn(2, int(bins), 2 * int(length))
    return torch.randn(2, 64, int(bins))
