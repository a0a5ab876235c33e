"""How good answers are: metrics over weighted rows, their intervals, and tests of differences."""
