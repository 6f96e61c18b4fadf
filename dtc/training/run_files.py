"""The names of the files and folders that a training writes into its run's folder."""

CHECKPOINTS = "checkpoints"  # a state for each saved step, from which an unfinished training is resumed
PROGRESS = "progress.json"  # step and total_steps of the last checkpoint, to be read without loading it
CURVE = "curve.csv"
TENSORBOARD = "tensorboard"
