"""Medians and ratios, side by side in one run, of whole processes."""
