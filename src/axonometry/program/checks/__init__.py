"""What a capture makes sure of by running the module itself: samples go through alone, and no draw decides a result."""
