"""One thread for PyTorch: on tensors as small as those of the tests, more of them only wait for each other."""

import torch

torch.set_num_threads(1)
