"""Metrics over weighted rows, their confidence intervals, and tests of differences."""
