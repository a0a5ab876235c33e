"""Checkpoints on disk: read safely, written so that a kill leaves the old one or the new one."""

from distil.checkpoints.opening import open_checkpoint
from distil.checkpoints.writing import save_checkpoint
from distil.storage.formats import FORMATS
from distil.storage.tensors import Checkpoint, StoredTensor

__all__ = ["FORMATS", "Checkpoint", "StoredTensor", "open_checkpoint", "save_checkpoint"]
