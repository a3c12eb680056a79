"""The populations in which most networks learn: what is drawn, and that larger ones hold the smaller ones."""

from __future__ import annotations

from axonometry.papers.cikm2022.learning import HE, KINDS, medium_grids
from axonometry.papers.cikm2022.scales import SCALES, grid_trials
from axonometry.populations import draw_hard_grid


def test_sizes_and_names() -> None:
    grids = {grid.name: grid for grid in medium_grids(160)}
    sizes = {name: len(grid.configurations) for name, grid in grids.items()}
    assert sizes["lenet"] == 160
    assert sizes["mlp"] == 120
    assert sizes["lenet-grid"] == 36 * 2
    assert sum(sizes.values()) == len(grid_trials(medium_grids, 160))
    assert {grid.kind for grid in grids.values()} == {"learning", "paper"}
    assert SCALES["medium"].seeds == 160


def test_no_two_populations_share_a_seed_and_larger_ones_hold_the_smaller() -> None:
    seeds = [{one.seed for one in kind.grid(160).configurations} for kind in KINDS]
    assert sum(map(len, seeds)) == len(set().union(*seeds))
    for kind in KINDS:
        few, many = kind.grid(40).configurations, kind.grid(160).configurations
        assert many[: len(few)] == few


def test_what_is_changed_of_the_drawn() -> None:
    grids = {grid.name: grid.configurations for grid in medium_grids(40)}
    vgg = grids["vgg"]
    drawn = draw_hard_grid(
        [one.seed for one in vgg],
        dataset="fashion-mnist-14",
        family="vgg-like",
        width=0.125,
        train_fraction=0.05,
        test_fraction=0.2,
    )
    assert [one.scale for one in vgg] == [2 * one.scale for one in drawn]
    assert [one.batch_size for one in vgg] == [max(32, one.batch_size) for one in drawn]
    assert {one.initialiser for one in vgg} == {HE}
    assert {one.batch_size for one in grids["cifar"]} == {16, 32, 64}
    assert {one.epochs for every in grids.values() for one in every} == {10}
