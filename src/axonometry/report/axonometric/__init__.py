"""The axonometric picture of a network: planes of cells and the strongest links between them."""

from axonometry.report.axonometric.draw import draw_graph as draw_graph
