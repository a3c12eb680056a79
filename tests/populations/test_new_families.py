"""Recurrent networks, attention and autoencoders: against loops and formulas, and every family on the digits."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations import Architecture, RunConfiguration, initialise, train
from axonometry.populations.autoencoders import ConvolutionalAutoencoder, DenseAutoencoder, encoder_widths
from axonometry.populations.families import NETWORKS
from axonometry.populations.sequence_networks import CELLS, Attention, Recurrent, Rows, TransformerBlock


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def test_rows_are_read_from_top_to_bottom_with_all_their_channels() -> None:
    x = images(2, 3, 4, 5)
    rows = Rows()(x)
    assert rows.shape == (2, 4, 15)
    torch.testing.assert_close(rows[1, 2], torch.cat([x[1, c, 2] for c in range(3)]))


def test_the_recurrent_network_is_the_loop_that_it_says() -> None:
    network, x = Recurrent((1, 4, 3), 5, 7, layers=2), images(6, 1, 4, 3)
    s = dict(network.named_parameters())
    states = [torch.zeros(6, 5), torch.zeros(6, 5)]
    for row in range(4):
        below = x[:, 0, row]
        for k in range(2):
            w, u = s[f"cell.weight_ih_l{k}"], s[f"cell.weight_hh_l{k}"]
            states[k] = torch.tanh(below @ w.T + s[f"cell.bias_ih_l{k}"] + states[k] @ u.T + s[f"cell.bias_hh_l{k}"])
            below = states[k]
    torch.testing.assert_close(network(x), F.linear(states[1], s["head.weight"], s["head.bias"]))


@pytest.mark.parametrize("cell", CELLS)
def test_cells(cell: str) -> None:
    network = Recurrent((9,), 4, 3, cell=cell, n_tokens=11)
    assert network(torch.randint(11, (2, 9))).shape == (2, 3)
    gates = {"gru": 3, "lstm": 4}.get(cell, 1)
    assert network.get_parameter("cell.weight_hh_l0").shape == (4 * gates, 4)


def test_a_block_is_the_formula() -> None:
    block, x = TransformerBlock(8, "tanh").double(), images(2, 5, 8).double()
    normed = F.layer_norm(x, (8,))
    heads = []
    for head in range(4):
        part = slice(2 * head, 2 * head + 2)
        q, k, v = (m(normed)[..., part] for m in (block.query, block.key, block.value))
        heads.append((q @ k.transpose(1, 2) / sqrt(2)).softmax(-1) @ v)
    y = x + block.out(torch.cat(heads, -1))
    expected = y + block.down(torch.tanh(block.up(F.layer_norm(y, (8,)))))
    torch.testing.assert_close(block(x), expected)


def test_attention_does_not_know_places_before_it_learns_them() -> None:
    network, x = Attention((1, 6, 4), 8).eval(), images(3, 1, 6, 4)
    with torch.no_grad():
        torch.testing.assert_close(network(x), network(x.flip(2)))
        network.places.normal_()
        assert not torch.allclose(network(x), network(x.flip(2)))


def test_encoders_go_down_by_three_and_never_below_two() -> None:
    assert encoder_widths(784, 3) == (261, 87, 29)  # definitions 1.2
    assert encoder_widths(20, 4) == (6, 2, 2, 2)
    assert encoder_widths(784, 2, 64) == (64, 21)
    sizes = [m.out_features for m in DenseAutoencoder((1, 28, 28)) if isinstance(m, nn.Linear)]
    assert sizes == [261, 87, 29, 87, 261, 784]
    sizes = [m.out_features for m in DenseAutoencoder((1, 4, 4), layers=1, units=3) if isinstance(m, nn.Linear)]
    assert sizes == [3, 16]


def test_a_convolutional_autoencoder_is_as_wide_at_its_end_as_at_its_start() -> None:
    network = ConvolutionalAutoencoder((2, 12, 8), units=3)
    with torch.no_grad():
        x, shapes = images(5, 2, 12, 8), []
        for layer in network:
            x = layer(x)
            shapes.append(tuple(x.shape[1:]))
    assert shapes[::2] == [(3, 6, 4), (6, 3, 2), (3, 6, 4), (2, 12, 8)]
    assert shapes[-1] == (2 * 12 * 8,)
    with pytest.raises(ConfigurationError, match="3 convolutions that halve an image need sides that 8 divides"):
        ConvolutionalAutoencoder((1, 28, 28), layers=3)


def test_units_stand_in_place_of_sizes_and_of_the_last_layer() -> None:
    network = Architecture("fully-connected", units=7, layers=3).network((1, 4, 4), 10)
    assert [m.out_features for m in network.modules() if isinstance(m, nn.Linear)] == [7, 7, 7, 10]
    network = Architecture("convolutional", units=3, layers=1).network((1, 6, 6), 10)
    assert [tuple(p.shape) for p in network.parameters() if p.dim() > 1] == [(3, 1, 3, 3), (10, 48)]
    with pytest.raises(ConfigurationError, match="`units` stand in place of `size`; got small and 7"):
        Architecture("fully-connected", size="small", units=7)
    assert RunConfiguration(units=7).size is None
    assert RunConfiguration(units=7).identity != RunConfiguration().identity


@pytest.mark.parametrize(
    ("choices", "rule"),
    [
        ({"family": "attention", "units": 6}, "`units` of attention is a multiple of its 4 heads; got 6"),
        ({"family": "recurrent", "cell": "elman"}, "`cell` is one of tanh, relu, gru, lstm; got 'elman'"),
        ({"family": "lenet", "cell": "gru"}, "lenet has no choice of `cell`"),
        ({"family": "autoencoder", "units": 0}, "`units` is at least 1; got 0"),
        ({"family": "autoencoder"}, "autoencoder reconstructs its input; got 10 outputs"),
    ],
)
def test_what_is_refused(choices: dict[str, object], rule: str) -> None:
    with pytest.raises(ConfigurationError, match=rule):
        Architecture(**choices).network((1, 8, 8), 10)  # type: ignore[arg-type]


def test_who_reads_tokens() -> None:
    with pytest.raises(ConfigurationError, match=r"lenet reads images; got tokens. .*: recurrent, attention"):
        Architecture("lenet").network((32,), 10, 40)
    with pytest.raises(ConfigurationError, match="read from the rows of images, or from tokens"):
        Architecture("recurrent").network((32,), 10)


@pytest.mark.parametrize("family", ["recurrent", "attention"])
def test_all_weights_follow_from_the_seed(family: str) -> None:
    def network(seed: int) -> nn.Module:
        made = Architecture(family, units=8).network((6,), 3, 5)
        initialise(made, "torch-default", 0.5, torch.Generator().manual_seed(seed))
        return made

    one, same, other = (dict(network(seed).named_parameters()) for seed in (0, 0, 1))
    assert all(torch.equal(one[name], same[name]) for name in one)
    changed = {name for name in one if not torch.equal(one[name], other[name])}
    assert {name for name in one if "norm" not in name and name != "places"} == changed


def test_initial_weights_are_pytorchs_law() -> None:
    network = Architecture("recurrent", units=100, cell="gru").network((6,), 3, 50)
    initialise(network, "torch-default", 1.0, torch.Generator().manual_seed(0))
    for name, value in network.state_dict().items():
        assert "cell" not in name or 0.095 < float(value.abs().max()) <= 0.1, name
    assert float(network.state_dict()["read.weight"].std()) == pytest.approx(1.0, abs=0.05)
    initialise(network, "random-uniform", 0.3, torch.Generator().manual_seed(0))
    for name, value in network.state_dict().items():
        assert float(value.abs().max()) <= 0.3, name
        assert value.numel() < 100 or float(value.abs().max()) > 0.29, name


@pytest.mark.parametrize("family", [*NETWORKS][-4:])
def test_new_families_learn_the_digits_and_are_recorded(family: str, tmp_path: Path) -> None:
    more: dict[str, object] = {"objective": "bce"} if NETWORKS[family].copies else {}
    configuration = RunConfiguration(
        family=family, learning_rate=0.005, epochs=4, record_every=10**6, batch_size=16, test_fraction=0.5, **more
    )
    scalars = train(configuration, tmp_path / "run").scalars()
    assert scalars["loss"].iloc[-1] < 0.85 * scalars["loss"].iloc[0]
    assert RunConfiguration.from_json(configuration.to_json()) == configuration
