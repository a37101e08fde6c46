"""Documentation of the action of the same name, where ansible-doc looks for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: provision_nvcc
short_description: Proves a CUDA toolkit by a program that is compiled, linked and run
description:
  - With a GPU that a driver serves the program must compute, and its results are compared. Without one it
    must say that there is no device. Nothing else counts. Nothing is changed; check mode only looks.
author: the provision authors
options:
  release:
    description: Release that the toolkit must be of, such as C(12.4).
    type: str
    required: true
  home:
    description: Folder of the toolkit, with C(bin/nvcc) in it; looked for where toolkits are when left out.
    type: path
  compiler:
    description: Host compiler that nvcc is to use; the system's own when left out.
    type: str
  shared:
    description: Whether the program must find the toolkit's libraries as any program would.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Prove the toolkit
  provision_nvcc:
    release: "12.4"
    compiler: g++-13
"""
