"""Checkpoints on disk: read safely, written so that a kill leaves the old one or the new one."""

from distil.common.checkpoint.formats import FORMATS
from distil.common.checkpoint.opening import open_checkpoint
from distil.common.checkpoint.tensors import Checkpoint, StoredTensor
from distil.common.checkpoint.writing import save_checkpoint

__all__ = ["FORMATS", "Checkpoint", "StoredTensor", "open_checkpoint", "save_checkpoint"]
