"""One result, shown three ways: read aloud on a terminal, JSON for machines, one HTML page to look at."""

from provisioner.report.result import HostResult, RunResult, Status

__all__ = ["HostResult", "RunResult", "Status"]
