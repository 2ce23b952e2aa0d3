"""Layers that make a model's inputs of raw data: numbers, categories, text, images and sound."""
