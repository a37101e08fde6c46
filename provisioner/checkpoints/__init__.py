"""What a model's own files say of its shape, read without downloading it: its configuration and the headers
of its weights, from a folder of this machine or from a hub by requests for parts of files.
"""

from provisioner.checkpoints.checkpoint import Checkpoint, checkpoint

__all__ = ["Checkpoint", "checkpoint"]
