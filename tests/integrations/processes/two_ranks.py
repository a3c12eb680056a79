"""One of two processes that train one network: ``two_ranks.py RANK FOLDER``; also run alone, as rank 0 of 1."""

from __future__ import annotations

import os
import sys
import warnings
from datetime import timedelta
from pathlib import Path

import torch
from torch import distributed, nn
from torch.distributed.fsdp import fully_shard

from axonometry.integrations.loop import AxonometryCallback

MEASURES = ("node_strength", "gradient.node_strength", "update_ratio", "second_moment.node_strength")


class Counted:
    """A logger that counts."""

    def log(self, step: int, scalars: object, histograms: dict[str, object]) -> None:
        print("logged", step, len(histograms), flush=True)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()


def loop(folder: Path, kind: str, rank: int, world: int) -> None:
    model, example = network(), torch.zeros(1, 4, dtype=torch.float64)
    stop = (lambda recorder: recorder.last_step == 4) if kind == "stopped" else None
    choices = {"measures": MEASURES, "every": 2, "example": example, "loggers": [Counted()]}
    callback = AxonometryCallback(folder / kind, stop_below=stop, **choices)
    trained: nn.Module = model
    callback.watch(model)
    if world > 1 and kind in ("fsdp", "full"):
        fully_shard(model[0])
        fully_shard(model)
    elif world > 1:
        trained = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    inputs = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    labels = torch.arange(8) % 2
    mine = slice(rank, None, world)
    steps = 0
    for step in range(1, 7):
        if kind == "full" and rank == 0 and step == 3:
            callback.recorder.folder.joinpath("run.json").unlink()  # type: ignore[union-attr]  # no writing any more
        nn.functional.cross_entropy(trained(inputs[mine]), labels[mine]).backward()
        callback.before_update(step, optimizer)
        optimizer.step()
        steps += 1
        if callback.after_update(step, loss=0.5):
            break
        optimizer.zero_grad()
    callback.close()
    print(kind, rank, steps, callback.recorder is not None, flush=True)


def main() -> None:
    rank, world, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if world > 1:
        where = f"file://{folder}/rendezvous"
        distributed.init_process_group(
            "gloo", init_method=where, rank=rank, world_size=world, timeout=timedelta(seconds=20)
        )
    for kind in sys.argv[4:]:
        if kind == "dies" and rank == 1:
            os._exit(9)
        loop(folder, kind, rank, world)
    if world > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
