"""The formats of weights: which files are of one, and the class that reads them.

A format is one entry of :data:`FORMATS`; its module is imported when the first such file is opened. What a file is, its
first bytes say (:mod:`axonometry.checkpoints.kinds`), and for zip archives what is in them; a name decides only where
bytes leave it open.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from axonometry.checkpoints import kinds
from axonometry.checkpoints.checkpoint import TensorSource, corrupt_checkpoint


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        title: What it is called in messages.
        kind: What :func:`~axonometry.checkpoints.kinds.kind_of` calls its files.
        suffixes: What its files are called.
        module: Of the class that reads it, below ``axonometry.checkpoints``.
        reader: Name of that class, a :class:`~axonometry.checkpoints.checkpoint.File`.
    """

    title: str
    kind: str
    suffixes: tuple[str, ...]
    module: str
    reader: str

    def open(self, path: Path) -> TensorSource:
        """The file's tensors."""
        made: TensorSource = getattr(import_module(f"axonometry.checkpoints.{self.module}"), self.reader)(path)
        return made


TORCH = (".pt", ".pth", ".bin", ".ckpt")
FORMATS = (
    Format("safetensors", "safetensors", (".safetensors",), "safetensors_file", "SafetensorsFile"),
    Format("torch.save", "pickle", TORCH, "torch_file", "TorchFile"),
    Format("torch.save", "zip of torch", TORCH, "torch_file", "TorchFile"),
    Format("numpy.savez", "zip of numpy", (".npz",), "npz_file", "NpzFile"),
    Format("numpy.save", "npy", (".npy",), "npy_file", "NpyFile"),
    Format("Keras", "zip of keras", (".keras",), "keras_file", "KerasFile"),
    Format("HDF5", "hdf5", (".h5", ".hdf5"), "hdf5_file", "Hdf5File"),
    Format("ONNX", "onnx", (".onnx",), "onnx_file", "OnnxFile"),
    Format("GGUF", "gguf", (".gguf",), "gguf_file", "GgufFile"),
    Format("Flax", "msgpack", (".msgpack",), "flax_file", "FlaxFile"),
)
SUFFIXES = tuple(dict.fromkeys(suffix for one in FORMATS for suffix in one.suffixes))
"""What files of weights are called; which kind one is, its first bytes say."""
OWN_SUFFIXES = (".safetensors", *TORCH, ".npz", ".npy", ".keras", ".gguf", ".onnx")
"""Those that mean weights and nothing else."""


def format_of(path: Path) -> Format:
    """The format of a file.

    Raises:
        CheckpointError: It has none, or cannot be read.
    """
    kind = kinds.kind_of(path)
    if kind == "zip":
        kind = kinds.kind_of_zip(path, torch=path.suffix in TORCH)
    found = next((one for one in FORMATS if one.kind == kind), None)
    if found is not None:
        return found
    # Bytes that are none of the kinds': a name that no other program uses tells that a file was cut short.
    if kind in ("an unknown kind of file", "an empty file") and path.suffix in OWN_SUFFIXES:
        corrupt_checkpoint(path, kind)
    refusal = kinds.refuse(path, kind)
    raise refusal
