"""Ansible, started for the drifted roles of the drifted hosts and for nothing else."""
