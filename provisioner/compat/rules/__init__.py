"""What must hold between a machine, what is asked for, and what is known: a module a subject.

Each gives the values of its variables, the preferred ones first, and constraints over them. Every premise
is a fact of its own, so that each link of a chain has its own source; a constraint that excludes nothing
here says what a choice rests on.
"""
