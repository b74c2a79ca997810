"""A reproducible study of recurrent networks for next-page and next-item recommendation."""

import os

__version__ = "1.1.0"

# OpenMP reads it when PyTorch is loaded. Its waiting threads keep a core busy by default, which two trainings on one machine take
# from each other: each of two was ten times slower so than alone.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
