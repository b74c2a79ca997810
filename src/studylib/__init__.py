"""A reproducible study of recurrent networks for next-page and next-item recommendation."""

import os

__version__ = "1.1.0"

# OpenMP reads it when PyTorch is loaded, so it is set before that. By default a waiting thread keeps its core busy, and two
# processes on one machine stop each other.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
