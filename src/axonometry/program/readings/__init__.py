"""The three readings of a program: cut, linear, live."""
