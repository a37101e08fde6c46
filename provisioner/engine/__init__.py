"""Ansible, started for the drifted roles of the drifted hosts and for nothing else."""

from provisioner.engine.events import Event, Kind
from provisioner.engine.journal import Journal
from provisioner.engine.run import HostJob, HostOutcome, run_roles

__all__ = ["Event", "HostJob", "HostOutcome", "Journal", "Kind", "run_roles"]
