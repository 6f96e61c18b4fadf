"""The names of the files and folders that a training writes into its run's folder."""

RESUME = "resume.pt"  # the state from which an unfinished training is resumed
PROGRESS = "progress.json"  # step and total_steps of resume.pt, to be read without loading it
CURVE = "curve.csv"
TENSORBOARD = "tensorboard"
