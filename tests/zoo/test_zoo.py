"""Zoos as populations: converting resumes, making is the preset's, evaluating predicts what can be predicted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from axonometry.cli import main
from axonometry.errors import ConfigurationError, PredictionError, RunError
from axonometry.populations import RunConfiguration
from axonometry.program import parameter_graph
from axonometry.trajectory import load
from axonometry.zoo import PRESETS, Zoo, ZooPlan, convert_zoo, describe_zoo, evaluate_zoo, make_zoo, open_zoo
from axonometry.zoo.evaluation import BOTH, LEARNED, drawn, score_zoo
from axonometry.zoo.features import feature_tables
from axonometry.zoo.making import Preset, split_of
from tests.zoo.published_files import EPOCHS


def test_a_converted_zoo_is_a_population_with_its_weights(
    small_cnn_files: tuple[Path, list[Any]], small_cnn_zoo: Zoo
) -> None:
    theirs = small_cnn_files[1]
    assert len(small_cnn_zoo) == 8
    assert small_cnn_zoo.source == "small-cnn-zoo"
    run = small_cnn_zoo.runs["00003"]
    assert run.steps == EPOCHS
    assert run.complete
    assert torch.equal(small_cnn_zoo.weights("00003", 4)["layers.1.weight"], theirs[3].conv[1].weight)
    graph = small_cnn_zoo.captured("00003")
    assert [group.n_channels for group in graph.groups] == [1, 4, 4, 4, 3]
    assert small_cnn_zoo.captured("00001") is graph
    assert small_cnn_zoo.captured("00000") is not graph


def test_converting_again_resumes_and_leaves_what_is_finished(
    small_cnn_files: tuple[Path, list[Any]], tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    zoo = convert_zoo(small_cnn_files[0], folder, limit=4, measures=("link_weights",))
    assert len(zoo) == 4
    assert set(zoo.splits.values()) == {"train", "validation", "test"}
    name = next(iter(zoo.runs))
    table = folder / name / "metrics.parquet"
    before = table.stat().st_mtime_ns
    assert len(convert_zoo(small_cnn_files[0], folder, measures=("link_weights",))) == 8
    assert table.stat().st_mtime_ns == before


def test_a_folder_holds_one_zoo(small_cnn_zoo: Zoo, wild_park_files: tuple[Path, dict[str, Any]]) -> None:
    with pytest.raises(RunError, match="holds the zoo small-cnn-zoo; got networks of cnn-wild-park"):
        convert_zoo(wild_park_files[0], small_cnn_zoo.population.folder)
    with pytest.raises(ConfigurationError, match="converted without samples; got neuron_activation"):
        convert_zoo(wild_park_files[0], "nowhere", measures=("neuron_activation",))
    with pytest.raises(RunError, match=r"zoo\.json; got .*published zoo \(cnn-wild-park\).* axonometry zoo convert"):
        open_zoo(wild_park_files[0])


def test_features_are_those_of_the_epoch(small_cnn_zoo: Zoo) -> None:
    names = sorted(small_cnn_zoo.runs)
    early = feature_tables(small_cnn_zoo, names, dict.fromkeys(names, 1))
    state = small_cnn_zoo.weights(names[2], 1)
    assert early["weight statistics"]["fc.weight.mean"][names[2]] == pytest.approx(float(state["fc.weight"].mean()))
    graph = small_cnn_zoo.captured(names[2]).at(state)
    spread = float((graph.T @ graph.ones())["input"].std(correction=0))
    assert early["graph measures"]["input.node_strength.std"][names[2]] == pytest.approx(spread, rel=1e-4)
    assert (
        early["accuracy so far"]["accuracy"][names[2]]
        == load(small_cnn_zoo.runs[names[2]].folder).scalars()["accuracy"][1]
    )


def test_networks_of_different_depth_have_the_same_columns(wild_park_zoo: Zoo) -> None:
    names = sorted(wild_park_zoo.runs)
    tables = feature_tables(wild_park_zoo, names, dict.fromkeys(names, 4))
    assert not tables[BOTH].isna().any().any()
    assert "first.p50" in tables["weight statistics"]
    assert "greatest.node_strength.std" in tables["graph measures"]


def test_a_preset_is_the_same_networks_with_the_same_splits() -> None:
    preset = PRESETS["lenet14"]
    few, more = preset.configurations(3), preset.configurations(5)
    assert more[:3] == few
    assert few[0].seed == 400_000
    assert few[0].family == "lenet"
    assert [split_of(seed) for seed in range(400_000, 400_006)] == [split_of(s) for s in range(400_000, 400_006)]
    with pytest.raises(ConfigurationError, match=r"has a preset; got 'lenet41'\. Did you mean lenet14\?"):
        make_zoo("lenet41", 1, "nowhere")


def test_making_a_zoo_trains_its_preset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = {"dataset": "digits", "epochs": 1, "family": "mlp", "widths": (4,), "train_fraction": 0.05, "batch_size": 32}
    monkeypatch.setitem(PRESETS, "tiny", Preset("tiny", 7, tiny))  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as executor:
        zoo = make_zoo("tiny", 2, tmp_path / "zoo", executor=executor)
    assert {run.configuration["seed"] for run in zoo.runs.values() if run.configuration} == {7, 8}
    assert zoo.splits == {c.identity: split_of(c.seed) for c in PRESETS["tiny"].configurations(2)}
    assert isinstance(zoo.population.configurations[next(iter(zoo.runs))], RunConfiguration)


def test_scores_are_in_the_same_folds_and_the_last_epoch_has_no_accuracy_so_far(small_cnn_zoo: Zoo) -> None:
    plan = ZooPlan(folds=2, trees=2, graph=None)
    found = evaluate_zoo(small_cnn_zoo, plan=plan)
    assert found.n == 8
    assert set(found.scores["epochs"]) == {1, -1}
    folds = found.predictions.pivot_table(index="run", columns=["features", "epochs"], values="fold")
    assert (folds.nunique(axis=1) == 1).all()
    last = set(found.scores.loc[found.scores["epochs"] == -1, "features"])
    assert last == {"weight statistics", "graph measures", BOTH, "hyper-parameters"}
    taken = found.seconds.set_index(["features", "epochs", "stage"])["seconds"]
    assert taken[BOTH, 1, "measure"] > 0
    assert taken[BOTH, 1, "learn and apply"] > 0


def test_scores_of_what_is_known_exactly_are_perfect(small_cnn_zoo: Zoo) -> None:
    names = sorted(small_cnn_zoo.runs)
    truth = np.linspace(0.1, 0.8, 8)
    zoo = replace(small_cnn_zoo)
    zoo.__dict__["final_accuracy"] = pd.Series(truth, index=names)
    rows = {"run": names, "truth": truth, "fold": 0, "epochs": 1, "repeat": 0}
    predictions = pd.concat(
        pd.DataFrame({**rows, "features": features, "predicted": predicted})
        for features, predicted in ((BOTH, truth[::-1]), (LEARNED, truth))
    )
    seconds = pd.DataFrame({"features": [BOTH], "epochs": [1], "stage": ["measure"], "seconds": [1.0]})
    found = score_zoo(zoo, names, predictions, seconds, ZooPlan())
    tau = found.scores[found.scores["score"] == "tau"].set_index("features")["value"]
    assert tau[LEARNED] == 1
    assert tau[BOTH] == -1
    gain = found.differences.query("score == 'tau'").set_index("features")
    assert gain["value"][LEARNED] == 2
    assert gain["low"][LEARNED] > 0


def test_the_published_split_is_predicted_once(small_cnn_zoo: Zoo) -> None:
    plan = ZooPlan(published=True, trees=2, graph=None)
    found = evaluate_zoo(small_cnn_zoo, [1], plan=plan)
    assert set(found.predictions["run"]) == {name for name, split in small_cnn_zoo.splits.items() if split == "test"}
    one = replace(small_cnn_zoo, splits=dict.fromkeys(small_cnn_zoo.runs, "train"))
    with pytest.raises(PredictionError, match="a published split has networks of both kinds; got 0 of 8"):
        evaluate_zoo(one, [1], plan=plan)


def test_fewer_networks_are_among_more(small_cnn_zoo: Zoo) -> None:
    assert set(drawn(small_cnn_zoo, 3, 0)) < set(drawn(small_cnn_zoo, 5, 0))
    with pytest.raises(PredictionError, match="9 of 8"):
        drawn(small_cnn_zoo, 9, 0)
    with pytest.raises(PredictionError, match="all networks recorded epoch 3; got 00000, which did not"):
        evaluate_zoo(small_cnn_zoo, [3], plan=ZooPlan(graph=None))


def test_the_graph_network_does_not_see_the_order_of_channels_and_learns(
    small_cnn_zoo: Zoo, wild_park_zoo: Zoo
) -> None:
    pytest.importorskip("torch_geometric")
    import axonometry as ax
    from axonometry.zoo.graph_network import Exported, GraphNetwork, GraphPlan, learned_predictions

    name = "00000"
    graph, state = small_cnn_zoo.captured(name), small_cnn_zoo.weights(name, 4)
    permuted = ax.permute(state, graph, ax.permutations(graph).random(seed=1))
    structure = parameter_graph(graph)
    park = wild_park_zoo.captured("NN_tune_trainable_00000")
    other = wild_park_zoo.weights("NN_tune_trainable_00000", 4)
    exported = Exported([structure, structure, parameter_graph(park)], [state, permuted, other])
    from torch_geometric.data import Batch

    torch.manual_seed(0)
    network = GraphNetwork(exported.taps, exported.biases, GraphPlan()).eval()
    scales = exported.scales([0])
    first, second, third = network(Batch.from_data_list([exported.data(row, scales) for row in range(3)])).tolist()
    assert first == pytest.approx(second, abs=1e-5)
    assert first != pytest.approx(third, abs=1e-3)
    # One number decides the accuracy, the size of the weights: it is found.
    sizes = np.random.default_rng(0).uniform(0.2, 3, 40)
    many = Exported([structure] * 40, [{n: t * size for n, t in state.items()} for size in sizes])
    accuracy = sizes / 3.2
    predicted = learned_predictions(many, accuracy, np.arange(30), np.arange(30, 40), GraphPlan(epochs=25, rate=0.02))
    assert np.corrcoef(predicted, accuracy[30:])[0, 1] > 0.9


def test_descriptions(small_cnn_files: tuple[Path, list[Any]], small_cnn_zoo: Zoo) -> None:
    published, ours = describe_zoo(small_cnn_files[0]), describe_zoo(small_cnn_zoo.population.folder)
    assert (published.networks, published.checkpoints) == (ours.networks, ours.checkpoints) == (8, 32)
    assert published.splits == ours.splits == {"train": 3, "validation": 1, "test": 4}
    assert ours.choices["learning_rate"] == "0.0001, 0.001, 0.01"
    assert "num_units" not in ours.choices
    assert published.parameters is None
    assert ours.parameters == (351, 351)
    assert published.accuracy == pytest.approx(ours.accuracy)


def test_commands(small_cnn_files: tuple[Path, list[Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "zoo"
    assert main(["zoo", "convert", str(small_cnn_files[0]), str(out), "--limit", "8", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["networks"] == 8
    assert main(["zoo", "describe", str(out)]) == 0
    assert "train 3, validation 1, test 4" in capsys.readouterr().out
    assert main(["zoo", "evaluate", str(out), "--epochs", "1", "--folds", "2", "--no-learned", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {row["features"] for row in found["scores"]} >= {"weight statistics", BOTH}
    assert main(["zoo", "evaluate", str(small_cnn_files[0])]) == 2
    assert "axonometry zoo convert" in capsys.readouterr().err
    assert main(["zoo", "describe", str(tmp_path / "none")]) == 2
