"""The reference networks: shapes, names, counts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from axonometry.errors import ConfigurationError
from axonometry.populations.cifar_networks import LeNet
from axonometry.populations.cifar_resnet import ResidualBlock
from axonometry.populations.families import NETWORKS, build
from axonometry.populations.networks import Convolutional, FullyConnected
from axonometry.populations.resnet import ResNet
from axonometry.program import capture

MNIST = (1, 28, 28)


def kernels(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight") and p.ndim > 1}


def n_parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize(("size", "h"), [("small", 32), ("medium", 256), ("big", 2000)])
def test_fully_connected_of_paper_1(size: str, h: int) -> None:
    network = build("fully-connected", MNIST, size=size)
    assert list(kernels(network).values()) == [(h, 784), (h, h), (200, h), (10, 200)]
    assert n_parameters(network) == 784 * h + h + h * h + h + 200 * h + 200 + 2010
    assert [type(m) for m in network] == [nn.Flatten] + [nn.Linear, nn.ReLU] * 3 + [nn.Linear]


@pytest.mark.parametrize(("size", "c"), [("small", 10), ("medium", 64), ("big", 256)])
def test_convolutional_of_paper_1(size: str, c: int) -> None:
    with torch.device("meta"):
        network = build("convolutional", MNIST, size=size)
    assert list(kernels(network).values()) == [(c, 1, 3, 3), (c, c, 3, 3), (200, c * 24 * 24), (10, 200)]
    convolutions = [m for m in network if isinstance(m, nn.Conv2d)]
    assert all((m.stride, m.padding, m.groups) == ((1, 1), (0, 0), 1) and m.bias is not None for m in convolutions)
    assert not any("Pool" in type(m).__name__ for m in network)


def test_four_convolutions_on_cifar_have_six_weight_layers() -> None:
    assert len(kernels(build("convolutional", (3, 32, 32), size="small", layers=4))) == 6


def test_lenet_has_the_units_and_links_of_paper_3() -> None:
    network = LeNet((3, 32, 32))
    assert kernels(network) == {
        "conv1.weight": (6, 3, 5, 5),
        "conv2.weight": (16, 6, 5, 5),
        "fc1.weight": (120, 400),
        "fc2.weight": (84, 120),
        "fc3.weight": (10, 84),
    }
    shapes = {}
    for name, module in network.named_modules():
        module.register_forward_hook(lambda m, i, o, name=name: shapes.update({name: tuple(o.shape[1:])}))
    network(torch.zeros(1, 3, 32, 32))
    assert [shapes[n] for n in ("conv1", "pool1", "conv2", "pool2")] == [
        (6, 28, 28),
        (6, 14, 14),
        (16, 10, 10),
        (16, 5, 5),
    ]


@pytest.mark.parametrize(("depth", "count"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)])
def test_resnets_have_the_published_number_of_parameters(depth: int, count: int) -> None:
    with torch.device("meta"):
        network = ResNet(depth)
        assert n_parameters(network) == count
        assert network(torch.zeros(2, 3, 224, 224)).shape == (2, 1000)


def test_resnet_18_has_torchvisions_names() -> None:
    with torch.device("meta"):
        state = ResNet(18).state_dict()
    normalisation = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
    expected = ["conv1.weight", *(f"bn1.{n}" for n in normalisation)]
    for stage, block in [(s, b) for s in range(1, 5) for b in range(2)]:
        place = f"layer{stage}.{block}"
        for number in (1, 2):
            expected += [f"{place}.conv{number}.weight", *(f"{place}.bn{number}.{n}" for n in normalisation)]
        if stage > 1 and block == 0:
            expected += [f"{place}.downsample.0.weight", *(f"{place}.downsample.1.{n}" for n in normalisation)]
    assert list(state) == [*expected, "fc.weight", "fc.bias"]


def test_resnet_50_strides_in_the_3x3_convolution_and_projects_in_the_first_stage() -> None:
    with torch.device("meta"):
        modules = dict(ResNet(50).named_modules())
    assert modules["layer1.0.downsample.0"].weight.shape == (256, 64, 1, 1)
    assert modules["layer1.1.downsample"] is None if "layer1.1.downsample" in modules else True
    assert (modules["layer2.0.conv1"].stride, modules["layer2.0.conv2"].stride) == ((1, 1), (2, 2))
    assert modules["layer4.2.conv3"].weight.shape == (2048, 512, 1, 1)
    assert all(m.inplace for m in modules.values() if isinstance(m, nn.ReLU))


def test_resnet_computes_what_a_reference_computes() -> None:
    torch.manual_seed(0)
    network = ResNet(18, 10).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias)
    x = torch.rand(2, 3, 40, 40)
    s = network.state_dict()

    def bn(x: torch.Tensor, place: str) -> torch.Tensor:
        return nn.functional.batch_norm(
            x, s[f"{place}.running_mean"], s[f"{place}.running_var"], s[f"{place}.weight"], s[f"{place}.bias"]
        )

    def conv(x: torch.Tensor, place: str, stride: int) -> torch.Tensor:
        w = s[f"{place}.weight"]
        return nn.functional.conv2d(x, w, stride=stride, padding=w.shape[-1] // 2)

    y = nn.functional.max_pool2d(bn(conv(x, "conv1", 2), "bn1").relu(), 3, 2, 1)
    for stage, block in [(s, b) for s in range(1, 5) for b in range(2)]:
        place, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
        shortcut = bn(conv(y, f"{place}.downsample.0", stride), f"{place}.downsample.1") if stride == 2 else y
        inner = bn(conv(y, f"{place}.conv1", stride), f"{place}.bn1").relu()
        y = (bn(conv(inner, f"{place}.conv2", 1), f"{place}.bn2") + shortcut).relu()
    expected = y.mean((2, 3)) @ s["fc.weight"].T + s["fc.bias"]
    with torch.no_grad():
        torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize("family", [name for name in NETWORKS if not name.startswith("signal-")])
def test_every_family_takes_images_of_other_sizes_and_classes(family: str) -> None:
    outputs = 2 * 36 * 20 if NETWORKS[family].copies else 7
    network = build(family, (2, 36, 20), outputs).eval()
    with torch.no_grad():
        assert network(torch.rand(3, 2, 36, 20)).shape == (3, outputs)


@pytest.mark.parametrize("family", ["fully-connected", "convolutional"])
def test_the_default_is_small_with_two_layers(family: str) -> None:
    assert kernels(build(family, MNIST)) == kernels(build(family, MNIST, size="small", layers=2))
    assert len(kernels(build(family, MNIST, layers=3))) == 5


def test_what_does_not_exist() -> None:
    with pytest.raises(ConfigurationError, match=r"`family` is one of fully-connected, .*; got 'vgg'"):
        build("vgg", MNIST)
    with pytest.raises(ConfigurationError, match="`size` of convolutional is one of small, medium, big; got 'huge'"):
        build("convolutional", MNIST, size="huge")
    with pytest.raises(ConfigurationError, match="lenet has no choice of `size`; got `size` 'small'"):
        build("lenet", MNIST, size="small")
    with pytest.raises(ConfigurationError, match="`layers` is at least 1; got 0"):
        build("fully-connected", MNIST, layers=0)
    with pytest.raises(ConfigurationError, match="depth is one of 18, 34, 50; got 20"):
        ResNet(20)


def test_inputs_that_are_too_small() -> None:
    assert Convolutional((1, 5, 9), 4)(torch.rand(1, 1, 5, 9)).shape == (1, 10)
    with pytest.raises(ConfigurationError, match=r"2 convolutions of 3x3 .* at least 5 x 5; got inputs of 4 x 9"):
        Convolutional((1, 4, 9), 4)
    assert LeNet((1, 16, 16))(torch.rand(1, 1, 16, 16)).shape == (1, 10)
    with pytest.raises(ConfigurationError, match=r"LeNet needs .* at least 16 x 16; got inputs of 15 x 16"):
        LeNet((1, 15, 16))


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_a_network_with_skips_adds_what_each_layer_makes(norm: str) -> None:
    network = build("residual-mlp", (2, 3), 4, widths=(5, 5, 5), normalisation=norm).double().eval()
    if norm == "batch":
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                module.running_mean.uniform_(-1, 1)
                module.running_var.uniform_(1, 2)
    s, x = network.state_dict(), torch.rand(7, 2, 3, dtype=torch.float64)

    def layer(h: torch.Tensor, k: int) -> torch.Tensor:
        h = h @ s[f"fc{k}.weight"].T + s[f"fc{k}.bias"]
        if norm == "batch":
            scale = (s[f"fc{k}_norm.running_var"] + 1e-5).sqrt()
            h = (h - s[f"fc{k}_norm.running_mean"]) / scale * s[f"fc{k}_norm.weight"] + s[f"fc{k}_norm.bias"]
        return h.clamp(min=0)

    h = layer(x.flatten(1), 1)
    h = h + layer(h, 2)
    h = h + layer(h, 3)
    torch.testing.assert_close(network(x), h @ s["fc4.weight"].T + s["fc4.bias"])
    graph = capture(network.float(), torch.rand(2, 2, 3))
    assert {entry.role for entry in graph.coverage} <= {"synapse", "bias", "normalisation"}


def test_skips_need_layers_of_one_width() -> None:
    with pytest.raises(ConfigurationError, match=r"a network with skips has hidden layers of one width; got \[5, 4\]"):
        build("residual-mlp", (2, 3), 4, widths=(5, 4))


def test_a_network_of_any_widths() -> None:
    assert kernels(FullyConnected((3, 2), (5,), 4)) == {"fc1.weight": (5, 6), "fc2.weight": (4, 5)}


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        ("vgg-like", [(64, 3), (128, 64), (128, 128), (256, 128), (256, 256), (256, 256), (256, 256), 1024, 128, 128]),
        ("alexnet-like", [(96, 3), (256, 96), (384, 256), (384, 384), (256, 384), 4096, 1024, 512]),
    ],
)
def test_networks_of_paper_3_have_its_channels_and_units(family: str, expected: list[object]) -> None:
    with torch.device("meta"):
        network = build(family, (3, 32, 32))
    found = [shape[:2] if len(shape) == 4 else shape[1] for shape in kernels(network).values()]
    assert found == expected


@pytest.mark.parametrize(("depth", "count"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_small_resnets_have_the_published_number_of_parameters(depth: int, count: float) -> None:
    # He et al. 2015, table 6, in millions.
    with torch.device("meta"):
        assert round(n_parameters(build(f"resnet-{depth}", (3, 32, 32))) / 1e6, 2) == count


@pytest.mark.parametrize("family", ["lenet", "vgg-like", "alexnet-like", "resnet-20"])
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_networks_of_paper_3_are_captured_whole_in_any_width(family: str, shape: tuple[int, ...]) -> None:
    network = build(family, shape, width=0.2, activation="elu", dropout=0.3).eval()
    graph = capture(network, torch.zeros(1, *shape))
    assert {entry.role for entry in graph.coverage} <= {"synapse", "bias", "normalisation"}
    assert network(torch.rand(2, *shape)).shape == (2, 10)


def test_a_shortcut_without_parameters_takes_every_other_pixel_and_adds_channels_of_zeros() -> None:
    block = ResidualBlock(2, 5, 2, "relu").eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.rand(1, 2, 6, 6)
    out = block(x)
    assert out[:, 1:3].equal(x[:, :, ::2, ::2])
    assert not out[:, [0, 3, 4]].any()
