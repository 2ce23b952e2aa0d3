"""Layers around other layers."""
