"""Every test runs torch on one thread, also in the kernels and processes that it starts."""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import matplotlib  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)
matplotlib.use("Agg")  # not through the environment: a lab's kernel draws inline
