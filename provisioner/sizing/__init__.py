"""Bytes of VRAM and RAM that a model needs, part by part; pure functions."""
