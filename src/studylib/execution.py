"""Where and how the work runs: threads, devices and the Keras backend, set before the heavy libraries are imported."""

from __future__ import annotations

import os

from studylib.params import Execution


def configure(execution: Execution) -> None:
    """Set what can only be set before TensorFlow and Keras are imported, and the number of threads of every library.

    The number of threads is a part of the params, because sums over several threads differ in their last digits.
    """
    threads = str(execution.threads_per_worker)
    for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = threads
    os.environ["KERAS_BACKEND"] = execution.keras_backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    if execution.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch

    torch.set_num_threads(execution.threads_per_worker)
