"""How well ``axonometry verify`` tells a training from one with a fault: trainings that no threshold was set by."""
