"""Ops, graphs, gradients, passes and memory plans; nothing here knows a device."""
