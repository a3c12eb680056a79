"""Reports: a page that shows what was trained, how it learned, and what every number means."""

from axonometry.report.analysis import run_page as run_page
from axonometry.report.analysis import weights_tab as weights_tab
from axonometry.report.page import Block as Block
from axonometry.report.page import Drawing as Drawing
from axonometry.report.page import Facts as Facts
from axonometry.report.page import Figure as Figure
from axonometry.report.page import Key as Key
from axonometry.report.page import Page as Page
from axonometry.report.page import Panel as Panel
from axonometry.report.page import Prose as Prose
from axonometry.report.page import Tab as Tab
from axonometry.report.page import Table as Table
from axonometry.report.population import population_page as population_page
