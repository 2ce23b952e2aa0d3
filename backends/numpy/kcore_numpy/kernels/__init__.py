"""Kernels in NumPy, one module per family of ops; the backend imports every module it finds here."""
