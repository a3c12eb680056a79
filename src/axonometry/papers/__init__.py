"""One module per paper: its experiment, from data to table."""
