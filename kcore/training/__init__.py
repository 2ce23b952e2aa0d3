"""Training: compile, the steps, the loops over data, logs and progress."""
