"""Networks of timm and torchvision: one of every family, the smallest, on small images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from benchmarks.coverage import torchvision_operators
from benchmarks.coverage.network import Example, Network

SIZES = "test atto femto pico zepto nano xxtiny xxt xtiny xxs xx ti tiny wee xs mini little lite s small b base".split()
SMALL = {"img_size": 64, "depth": 2, "embed_dim": 48, "num_heads": 3}
LARGEST = 100_000_000
"""Parameters of a network that is small enough."""


def timm_networks() -> Iterator[Network]:
    """One of each family of names of each of timm's modules."""
    torchvision_operators.declare()
    import timm

    for module in sorted(timm.list_modules()):
        families: dict[str, list[str]] = {}
        for name in timm.list_models(module=module):
            families.setdefault(family(name), []).append(name)
        for names in families.values():
            name = min(names, key=_size)
            yield Network("timm", name, partial(_timm, name))


def family(name: str) -> str:
    """A name up to its size.

    >>> family("resnet18"), family("vit_tiny_patch16_224"), family("seresnext26d_32x4d"), family("coatnet_nano_cc_224")
    ('resnet', 'vit', 'seresnext', 'coatnet')
    """
    name = name.removeprefix("test_").removeprefix("tf_")
    return re.match(r"[a-z]+", name).group()  # type: ignore[union-attr]


def _size(name: str) -> tuple[int, int, str]:
    words = re.split(r"[_\d]+", name)
    size = next((i for i, word in enumerate(SIZES) if word in words), len(SIZES))
    numbers = [int(n) for n in re.findall(r"\d+", name)]
    return size, numbers[0] if numbers else 0, name


def _timm(name: str) -> Example:
    import timm

    fixed = timm.get_pretrained_cfg(name)
    sizes = [64, 96, 128, 224, fixed.input_size[-1] if fixed else 224]
    choices: list[dict[str, Any]] = [{**SMALL}, {"img_size": 64, "depth": 2}, {"img_size": 64}, {"img_size": 128}, {}]
    failure: Exception | None = None
    for choice in choices:
        try:
            module = timm.create_model(name, pretrained=False, num_classes=10, **choice).eval()
        except Exception as error:  # noqa: BLE001 - a family that does not take this setting
            failure = error
            continue
        if sum(p.numel() for p in module.parameters()) > LARGEST:
            failure = ValueError("more than a hundred million parameters")
            continue
        for size in dict.fromkeys([choice["img_size"]] if "img_size" in choice else sizes):
            images = torch.randn(2, 3, size, size)
            try:
                with torch.no_grad():
                    module(images)
            except Exception as error:  # noqa: BLE001 - a network that wants other images
                failure = error
                continue
            return Example(module, (images,))
    assert failure is not None
    raise failure


def torchvision_networks() -> Iterator[Network]:
    """One of each of torchvision's modules."""
    torchvision_operators.declare()
    from torchvision import models

    taken: set[str] = set()
    for name in sorted(models.list_models(), key=_size):
        builder = models.get_model_builder(name)
        module = builder.__module__.removeprefix("torchvision.models.")
        kind = next((k for k in ("segmentation", "detection", "video", "optical_flow") if k in module), "images")
        key = f"{module} {family(name)}"
        if key in taken or "quantization" in module:
            continue
        taken.add(key)
        yield Network("torchvision", name, partial(_torchvision, name, kind))


def _torchvision(name: str, kind: str) -> Example:
    from torchvision import models

    options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
    weights = {} if kind in ("images", "video", "optical_flow") else {"weights_backbone": None}
    settings = {} if kind == "optical_flow" else {"num_classes": 10}
    if "mvit" in name:
        options = {"spatial_size": (64, 64), "temporal_size": 8}
    fast = {"init_weights": False} if "aux_logits" in options else {}
    module = models.get_model(name, weights=None, **weights, **settings, **options, **fast).eval()
    if sum(p.numel() for p in module.parameters()) > LARGEST:
        raise ValueError("more than a hundred million parameters")
    if kind == "video":
        frames, side = (8, 64) if "mvit" in name else (16, 224) if "s3d" in name else (4, 32)
        return Example(module, (torch.randn(2, 3, frames, side, side),))
    if kind == "optical_flow":
        return Example(module, (torch.rand(2, 3, 128, 128), torch.rand(2, 3, 128, 128)), {"num_flow_updates": 1})
    if kind == "detection":
        return Example(module, ([torch.rand(3, 64, 64)],))
    side = next((s for s in (224,) if name.startswith(("vit", "maxvit"))), 96 if name.startswith("inception") else 64)
    return Example(module, (torch.randn(2, 3, side, side),))
