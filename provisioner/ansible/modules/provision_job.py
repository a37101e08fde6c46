"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_job
short_description: Starts a long job on a box, or attaches to the one that runs
description:
  - The job runs detached, so a cut connection loses nothing; one that is finished costs a look.
author: the provision authors
options:
  job:
    description: What to do.
    type: str
    choices: [env, weights, smoke, packages, runfile, undo]
    required: true
  name:
    description: Names the job on the box; a second one of the same name attaches.
    type: str
    required: true
  spec:
    description:
      - What the job is told; docs/architecture.md lists it by job.
      - For C(env), C(lock) may name a shipped lock, or be the path of a requirements file on the controller.
      - For C(weights), a source of type C(profile) with a C(name) stands for that profile's.
      - Left out, the public variables of the role that the task belongs to, without the role's name.
    type: dict
  secrets:
    description: Goes into the job's memory and nowhere else.
    type: dict
    default: {}
  python:
    description: The interpreter to run in; the box's own when left out.
    type: path
  wait:
    description: Wait for its end.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Build the environment
  provision_job:
    job: env
    name: env-llama
    spec:
      path: /opt/provisioner/envs/llama-0123456789ab
      lock: llama
      python: ">=3.10"
"""
