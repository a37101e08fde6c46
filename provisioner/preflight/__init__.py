"""Findings about a machine: small rules over what the audit read, each with its id, its reason and its
remedy.

Pure: Facts (with their audit), what is going to be put on the box, and its purpose go in; findings come out.
"""
