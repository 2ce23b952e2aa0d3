"""Kernels of NVIDIA's libraries by family; those generated for every C-family device come from `kcore.kernels`."""
