"""The names of the files and folders that a training writes into its run's folder."""

RESUME = "resume.pt"  # the state that an unfinished training goes on from
PROGRESS = "progress.json"  # step and total_steps of resume.pt, for those who do not want to load it
CURVE = "curve.csv"
TENSORBOARD = "tensorboard"
