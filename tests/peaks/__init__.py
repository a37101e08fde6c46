"""What a model really takes: one process a measurement, in the environment of its runtime."""
