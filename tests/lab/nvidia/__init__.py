"""NVIDIA's and Ubuntu's package repositories, emulated: their layout, names, versions and dependencies.

The packages are stubs. They show which packages are chosen and how repositories are handled, and no more.
"""
