"""Reports: a page that shows what was trained, how it learned, and what every number means."""

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
