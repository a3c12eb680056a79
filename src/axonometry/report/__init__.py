"""Reports: HTML pages of runs, populations, predictions and checkpoints."""

from axonometry.report.analysis import run_page as run_page, weights_tab as weights_tab
from axonometry.report.axonometric import draw_graph as draw_graph
from axonometry.report.page import (
    Block as Block,
    Drawing as Drawing,
    Facts as Facts,
    Figure as Figure,
    Key as Key,
    Page as Page,
    Panel as Panel,
    Prose as Prose,
    Tab as Tab,
    Table as Table,
)
from axonometry.report.population import population_page as population_page
