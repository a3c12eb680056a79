"""The network that a hub folder says its weights are of, built by Transformers without weights; no code of it is run.

``config.json`` names a class and its settings. The class is looked up in Transformers itself, never in the folder.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from axonometry.checkpoints.hollow import hollow
from axonometry.checkpoints.roles import architecture_of
from axonometry.errors import CheckpointError

EXAMPLES = {"input_ids": "a token", "pixel_values": "an image"}


def hub_network(path: Path) -> tuple[nn.Module, tuple[Any, ...]] | None:
    """The network of a folder and an example of one token or image; None where nothing says which it is.

    Args:
        path: A folder with ``config.json``, or a file in it.

    Raises:
        CheckpointError: Transformers has no such class, cannot build it, or it takes something else.
    """
    folder = path if path.is_dir() else path.parent
    name = architecture_of(folder).split(",")[0]
    if not name or not (folder / "config.json").is_file() or importlib.util.find_spec("transformers") is None:
        return None
    import transformers

    found = getattr(transformers, name, None)
    rule, remedy = "the class in config.json is one of Transformers", "Pass the network: --network FILE.py:NAME"
    if not (isinstance(found, type) and issubclass(found, nn.Module) and hasattr(found, "config_class")):
        raise CheckpointError(rule, f"{name!r} in {folder}", remedy)
    try:
        settings: Any = found.config_class.from_pretrained(str(folder), local_files_only=True)
        settings.use_cache = False
        module: nn.Module = hollow(lambda: found(settings)).eval()
    except Exception as error:  # whatever settings of a stranger's make of a constructor
        what = f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')[:200]}"
        raise CheckpointError(f"{name} is built from config.json", what, remedy) from error
    return module, (_example(module, settings, remedy),)


def _example(module: nn.Module, settings: Any, remedy: str) -> torch.Tensor:
    """One token, or one image of the size that the settings say."""
    wanted = str(getattr(module, "main_input_name", "input_ids"))
    if wanted == "input_ids":
        return torch.zeros(1, 1, dtype=torch.long)
    if wanted == "pixel_values":
        size = getattr(settings, "image_size", 224)
        sides = (size, size) if isinstance(size, int) else tuple(size)
        return torch.zeros(1, int(getattr(settings, "num_channels", 3)), *sides)
    raise CheckpointError(f"the network takes {' or '.join(EXAMPLES)}", wanted, remedy)
