"""What `scripts/bootstrap-wsl2.ps1` decides on Windows.

No Python runs there before WSL does, so the decisions are data (`data/`) that two small readers agree on: the
script's own, and `decide`, which the tests hold against recorded machines. `table` checks the data and writes
it into the script.
"""
