"""Lightning callbacks and plugins of training, tests and predictions."""
