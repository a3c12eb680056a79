"""Callbacks, each with the real library: steps, scalars, gradients, stopping, resuming, failing."""

from __future__ import annotations

import copy
import os
import resource
import signal
import warnings
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, TensorDataset

import axonometry as ax
from axonometry.errors import ConfigurationError
from axonometry.integrations.loop import AxonometryCallback, first_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("KERAS_BACKEND", "torch")
MEASURES = ("node_strength", "gradient.node_strength", "update_ratio")
others = pytest.mark.filterwarnings(  # of the libraries, not ours
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning", "ignore::ResourceWarning"
)


def data() -> tuple[torch.Tensor, torch.Tensor]:
    labels = torch.arange(64) % 2
    return torch.randn(64, 4, generator=torch.Generator().manual_seed(0)) + labels[:, None], labels


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))


def looped(callback: AxonometryCallback, steps: int = 6) -> list[float]:
    """A plain loop; the norms of the first layer's updates relative to its weights."""
    model, (inputs, labels) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback.watch(model)
    ratios = []
    for step in range(1, steps + 1):
        nn.functional.cross_entropy(model(inputs), labels).backward()
        before = model[0].weight.detach().clone()
        callback.before_update(step, optimizer)
        optimizer.step()
        ratios.append(float((model[0].weight.detach() - before).norm() / before.norm()))
        if callback.after_update(step, loss=torch.tensor(1 / step), note="text"):
            break
        optimizer.zero_grad()
    return ratios


def numbers(folder: Path) -> Any:
    return ax.load(folder).metrics.set_index(["metric", "group", "statistic", "step"])["value"].sort_index()


def test_a_plain_loop_records_the_steps_that_are_due(tmp_path: Path) -> None:
    with AxonometryCallback(tmp_path / "run", measures=MEASURES, every=2) as callback:
        ratios = looped(callback)
    run = ax.load(tmp_path / "run")
    assert (run.steps, run.state) == ((2, 4, 6), "finished")
    assert numbers(tmp_path / "run")["update_ratio", "0", "value"].tolist() == pytest.approx(ratios[1::2])
    assert numbers(tmp_path / "run")["gradient.node_strength", "0", "std"].gt(0).all()
    assert run.scalars()["loss"].tolist() == pytest.approx([1 / 2, 1 / 4, 1 / 6])
    assert callback.seconds > 0


def test_stop_below_ends_the_loop_and_the_run_says_so(tmp_path: Path) -> None:
    with AxonometryCallback(tmp_path / "run", every=1, stop_below=lambda recorder: recorder.last_step == 3) as callback:
        assert len(looped(callback)) == 3
    assert ax.load(tmp_path / "run").state == "stopped"


def test_a_model_is_left_without_hooks_and_inputs_by_name_are_read(tmp_path: Path) -> None:
    class Named(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
            return self.out(x)

    model = Named()
    with AxonometryCallback(tmp_path / "run", every=1) as callback:
        callback.watch(model)
        model(x=torch.randn(8, 4), labels=torch.zeros(8))
        callback.record(0)
    assert not model._forward_pre_hooks
    assert ax.load(tmp_path / "run").groups[0].shape == (4,)
    with pytest.raises(ConfigurationError, match=r"`every` is a number of steps from 1, or 'epoch'; got 0"):
        AxonometryCallback(tmp_path / "other", every=0)
    assert first_rows((torch.zeros(8, 3), torch.zeros(5)), {})[0][1].shape == (5,)


@pytest.fixture
def small_files() -> Iterator[Any]:
    """A file system on which no file of more than some bytes can be written."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_one_warning_and_training_goes_on(tmp_path: Path, small_files: Any) -> None:
    with warnings.catch_warnings(record=True) as said, AxonometryCallback(tmp_path / "run", every=1) as callback:
        warnings.simplefilter("always")
        record = callback.record

        def full_after_two(step: int, **scalars: Any) -> bool:
            if step == 3:
                small_files(16)
            return record(step, **scalars)

        callback.record = full_after_two  # type: ignore[method-assign]
        assert len(looped(callback)) == 6
        small_files(resource.RLIM_INFINITY if resource.getrlimit(resource.RLIMIT_FSIZE)[1] < 0 else -1)
    ours = [str(one.message) for one in said if "recording into" in str(one.message)]
    assert len(ours) == 1
    assert "training goes on" in ours[0]
    assert ax.load(tmp_path / "run").steps == (1, 2)


@others
def test_transformers_trainer_and_a_trainer_that_was_stopped_and_resumed(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from axonometry.integrations.transformers import AxonometryCallback as OfTrainer

    config = transformers.GPT2Config(
        vocab_size=20, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=None, eos_token_id=None,
        attn_implementation="eager", use_cache=False,
    )  # fmt: skip
    tokens = torch.randint(0, 20, (32, 8))
    dataset = [{"input_ids": row, "labels": row} for row in tokens]

    def trained(folder: Path, steps: int, resume: bool = False) -> OfTrainer:
        torch.manual_seed(0)
        arguments = transformers.TrainingArguments(
            str(tmp_path / "out"), max_steps=steps, per_device_train_batch_size=4, logging_steps=1, save_steps=4,
            report_to=[], use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        callback = OfTrainer(folder, measures=MEASURES, every=2)
        model = transformers.GPT2LMHeadModel(config)
        trainer = transformers.Trainer(model, arguments, train_dataset=dataset, callbacks=[callback])
        trainer.train(resume_from_checkpoint=str(tmp_path / "out/checkpoint-4") if resume else None)
        return callback

    trained(tmp_path / "run", 4)
    run = ax.load(tmp_path / "run")
    assert run.steps == (2, 4)
    assert run.scalars()["train_loss"].notna().any()
    found = numbers(tmp_path / "run")
    assert found["update_ratio", "", "value"].gt(0).all()
    assert found["gradient.node_strength"].notna().any()
    trained(tmp_path / "run", 8, resume=True)
    run = ax.load(tmp_path / "run")
    assert (run.steps, run.state) == ((2, 4, 6, 8), "finished")


@others
def test_lightning_records_the_network_inside_its_module(tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning")
    from axonometry.integrations.lightning import AxonometryCallback as OfLightning

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def training_step(self, batch: Any, _: int) -> torch.Tensor:
            return nn.functional.cross_entropy(self.net(batch[0]), batch[1])

        def validation_step(self, batch: Any, _: int) -> None:
            self.log("val_acc", (self.net(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=0.01)

    loader = DataLoader(TensorDataset(*data()), batch_size=16)
    quiet = {
        "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 0,
    }  # fmt: skip
    steps = OfLightning(tmp_path / "steps", measures=(*MEASURES, "second_moment.node_strength"), every=4)
    epochs = OfLightning(tmp_path / "epochs")
    lightning.Trainer(max_epochs=3, callbacks=[steps, epochs], **quiet).fit(Module(), loader, loader)
    assert ax.load(tmp_path / "steps").steps == (4, 8, 12)
    found = numbers(tmp_path / "steps")
    assert found["gradient.node_strength", "0", "std"].gt(0).all()
    assert found["second_moment.node_strength", "0", "mean"].gt(0).all()
    run = ax.load(tmp_path / "epochs")
    assert (run.steps, run.state) == ((1, 2, 3), "finished")
    assert run.scalars()["accuracy"].between(0, 1).all()
    stop = OfLightning(tmp_path / "stopped", stop_below=lambda recorder: recorder.last_step == 2)
    lightning.Trainer(max_epochs=9, callbacks=[stop], **quiet).fit(Module(), loader, loader)
    assert (ax.load(tmp_path / "stopped").steps, ax.load(tmp_path / "stopped").state) == ((1, 2), "stopped")


@others
def test_accelerate_counts_the_optimizers_steps(tmp_path: Path) -> None:
    accelerate = pytest.importorskip("accelerate")
    from axonometry.integrations.accelerate import AxonometryCallback as OfAccelerate

    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=2)
    model = network()
    optimizer = torch.optim.AdamW(model.parameters())
    loader = DataLoader(TensorDataset(*data()), batch_size=8)
    model, optimizer, loader = accelerator.prepare(model, optimizer, loader)
    with OfAccelerate(tmp_path / "run", accelerator=accelerator, measures=MEASURES, every=2) as callback:
        callback.watch(model)
        for inputs, labels in loader:
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(inputs), labels)
                accelerator.backward(loss)
                callback.before_step(optimizer)
                optimizer.step()
                callback.after_step(loss=loss)
                optimizer.zero_grad()
    assert ax.load(tmp_path / "run").steps == (2, 4)  # eight batches are four steps
    assert numbers(tmp_path / "run")["gradient.node_strength", "0", "std"].gt(0).all()


@others
def test_keras_on_torch_is_read_by_the_paths_of_its_variables(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    from axonometry.integrations.keras import AxonometryCallback as OfKeras, KerasNetwork

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(5), layers.BatchNormalization(), layers.ReLU(), layers.Dense(2, name="out")]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    inputs, labels = (tensor.numpy() for tensor in data())
    steps = OfKeras(tmp_path / "steps", measures=MEASURES, every=4)
    epochs = OfKeras(tmp_path / "epochs")
    fit = {"epochs": 3, "batch_size": 16, "verbose": 0, "callbacks": [steps, epochs]}
    model.fit(inputs, labels, validation_data=(inputs, labels), **fit)
    run = ax.load(tmp_path / "epochs")
    assert (run.steps, run.state) == ((1, 2, 3), "finished")
    assert {"accuracy", "loss", "train_accuracy"} <= set(run.scalars())
    weights = run.snapshots[3]
    assert torch.equal(weights["sequential.out.kernel"], model.get_layer("out").kernel.value.detach().cpu())
    assert ax.load(tmp_path / "steps").steps == (4, 8, 12)
    assert numbers(tmp_path / "steps")["update_ratio", "", "value"].gt(0).all()
    assert numbers(tmp_path / "steps")["gradient.node_strength", "input", "std"].gt(0).all()
    module, x = KerasNetwork(model).eval(), torch.randn(3, 4)
    torch.testing.assert_close(module(x).detach(), model(x, training=False).detach())
    graph = ax.capture(module, x[:1])
    assert [entry.role for entry in graph.coverage if entry.role == "unclaimed"] == []


@others
def test_skorch(tmp_path: Path) -> None:
    skorch = pytest.importorskip("skorch")
    from sklearn.base import clone

    from axonometry.integrations.skorch import AxonometryCallback as OfSkorch

    steps = OfSkorch(tmp_path / "steps", measures=MEASURES, every=4)
    epochs, stopping = OfSkorch(tmp_path / "epochs"), OfSkorch(tmp_path / "stopped", every=4, stop_below=lambda _: True)
    inputs, labels = (tensor.numpy() for tensor in data())

    def fitted(*callbacks: Any) -> Any:
        settings = {"criterion": nn.CrossEntropyLoss, "max_epochs": 3, "batch_size": 16, "verbose": 0, "lr": 0.1}
        # 64 samples less a fifth for validation: 52, four batches.
        return skorch.NeuralNetClassifier(network(), callbacks=list(callbacks), **settings).fit(inputs, labels)

    net = fitted(steps, epochs)
    run = ax.load(tmp_path / "epochs")
    assert (run.steps, run.state) == ((1, 2, 3), "finished")
    assert set(run.scalars()) == {"accuracy", "loss", "train_loss"}
    assert run.scalars()["accuracy"].tolist() == pytest.approx(net.history[:, "valid_acc"])
    assert torch.equal(run.snapshots[3]["2.weight"], net.module_[2].weight.detach())
    assert ax.load(tmp_path / "steps").steps == (4, 8, 12)
    assert numbers(tmp_path / "steps")["update_ratio", "", "value"].gt(0).all()
    assert numbers(tmp_path / "steps")["gradient.node_strength", "input", "std"].gt(0).all()
    fitted(stopping)
    assert (ax.load(tmp_path / "stopped").steps, ax.load(tmp_path / "stopped").state) == ((4,), "stopped")
    assert clone(net).callbacks[0].get_params() == steps.get_params()


@pytest.fixture
def compiling() -> Iterator[Any]:
    """Counters of what torch.compile did."""
    torch._dynamo.reset()
    counters = torch._dynamo.utils.counters
    counters.clear()
    yield counters
    torch._dynamo.reset()


def compiled_loop(callback: AxonometryCallback, compiled: Any, watched: nn.Module, model: nn.Module) -> None:
    inputs, labels = data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    callback.watch(watched)
    for step in range(1, 4):
        nn.functional.cross_entropy(compiled(inputs), labels).backward()
        callback.before_update(step, optimizer)
        optimizer.step()
        callback.after_update(step)
        optimizer.zero_grad()


def test_a_compiled_network_is_recorded_without_a_break_of_its_graph(tmp_path: Path, compiling: Any) -> None:
    model = network()
    plain = copy.deepcopy(model)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    with AxonometryCallback(tmp_path / "compiled", measures=MEASURES, every=1) as callback:
        compiled_loop(callback, compiled, compiled, model)
    assert (dict(compiling["graph_break"]), compiling["stats"]["unique_graphs"]) == ({}, 1)
    with AxonometryCallback(tmp_path / "plain", measures=MEASURES, every=1) as callback:
        compiled_loop(callback, plain, plain, plain)
    pd.testing.assert_series_equal(numbers(tmp_path / "compiled"), numbers(tmp_path / "plain"))


def test_a_network_that_is_called_inside_a_compiled_graph_alone_is_said_not_to_be_seen(
    tmp_path: Path, compiling: Any
) -> None:
    model = network()
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    callback = AxonometryCallback(tmp_path / "run", every=1)
    compiled_loop(callback, compiled, model, model)
    with pytest.warns(UserWarning, match="nothing was recorded into .*run, the network was not seen: .*pass example="):
        callback.close()
    assert not (tmp_path / "run").exists()
    with AxonometryCallback(tmp_path / "run", every=1, example=data()[0][:1]) as callback:
        compiled_loop(callback, compiled, model, model)
    assert ax.load(tmp_path / "run").steps == (1, 2, 3)


def test_mixed_precision_gathered_gradients_and_checkpointing_record_what_plain_training_does(tmp_path: Path) -> None:
    """Two half batches are one whole; bfloat16 and recomputed activations change nothing but rounding."""

    def train(folder: str, *, parts: int, checkpointed: bool = False, half: bool = False) -> Any:
        torch.manual_seed(0)
        model, (inputs, labels) = network(), data()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        with AxonometryCallback(tmp_path / folder, measures=MEASURES, every=1) as callback:
            callback.watch(model)
            for step in range(1, 4):
                for some, wanted in zip(inputs.chunk(parts), labels.chunk(parts), strict=True):
                    with torch.autocast("cpu", torch.bfloat16, enabled=half):
                        said = checkpoint(model, some, use_reentrant=False) if checkpointed else model(some)
                    (nn.functional.cross_entropy(said.float(), wanted) / parts).backward()
                callback.before_update(step, optimizer)
                optimizer.step()
                callback.after_update(step)
                optimizer.zero_grad()
        found = numbers(tmp_path / folder)
        return found.drop(index=["skewness", "kurtosis"], level="statistic", errors="ignore")

    whole = train("plain", parts=1)
    for folder, more, rounding in (
        ("gathered", {"parts": 4}, 1e-5),
        ("checkpointed", {"parts": 1, "checkpointed": True}, 1e-6),
        ("half", {"parts": 1, "half": True}, 0.05),
    ):
        pd.testing.assert_series_equal(train(folder, **more), whole, rtol=rounding, atol=rounding)


def test_a_predictor_stops_what_it_says_will_not_get_there(tmp_path: Path) -> None:
    def train(name: str, final: float, stop: Any = None) -> ax.Trajectory:
        model = network()
        choices = {"measures": ["layer_fluctuation"], "planned_steps": 4, "stop_below": stop}
        with AxonometryCallback(tmp_path / name, example=torch.zeros(1, 4), **choices) as callback:
            callback.watch(model)
            for epoch in range(4):
                if callback.record(epoch, accuracy=final * (1 - 0.5 ** (epoch + 1)), loss=1 - final):
                    break
        return ax.load(tmp_path / name)

    known = [train(f"{number:02}", 0.3 + number / 20) for number in range(12)]
    predictor = ax.AccuracyPredictor("curve", epochs=1, folds=3, trees=5).fit(known)
    stop = predictor.stop_below(0.6)
    bad, good = train("bad", 0.3, stop), train("good", 0.85, stop)
    assert (bad.state, bad.steps) == ("stopped", (0, 1))  # after the first epoch that the predictor reads
    assert (good.state, good.steps) == ("finished", (0, 1, 2, 3))
