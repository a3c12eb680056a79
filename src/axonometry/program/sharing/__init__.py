"""One export for all networks of one architecture in a process."""
