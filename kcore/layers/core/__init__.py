"""Layers that everything is made of: inputs, dense, embedding, masking."""
