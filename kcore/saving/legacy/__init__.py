"""What Keras 1 and 2 wrote, put into today's words: configurations, weights, training state."""
