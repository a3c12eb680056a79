"""Axonometry: a neural network that learns, measured as a weighted directed graph that changes over time."""
