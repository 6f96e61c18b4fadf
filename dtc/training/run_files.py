"""The names of the files and folders that a training writes into its run's folder."""

CHECKPOINTS = "checkpoints"  # a state for each saved step, from which an unfinished training is resumed
PROGRESS = "progress.json"  # step and total_steps of the last checkpoint, to be read without loading it
CURVE = "history.csv"  # losses, metrics, norms of gradients and learning rates
EVENTS = "progress.jsonl"  # what happened when, with wall-clock figures
METRICS = "metrics.json"  # the final figures
OFFENDING = "offending-batch.pt"  # of a training that went wrong
PROFILE = "profile.json.gz"  # of `--profile`
TENSORBOARD = "tensorboard"
