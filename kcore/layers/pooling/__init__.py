"""Pooling layers, over windows and over everything."""
