"""Where a graph's weights come from: the captured module as it is now, or a snapshot of it."""
