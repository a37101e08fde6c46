"""Targets, the way to them, and the only place that starts subprocesses."""
