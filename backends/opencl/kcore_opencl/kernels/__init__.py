"""Kernels by family; importing a module registers its kernels."""
