"""Pictures: runs of training as curves, models as diagrams."""

from kcore.visualization.compare import compare_runs
from kcore.visualization.curves import plot_history
from kcore.visualization.diagram import model_to_dot
from kcore.visualization.plot_model import plot_model

__all__ = ["compare_runs", "model_to_dot", "plot_history", "plot_model"]
