"""The trainer, one for every model. A run that is resumed gives the same bytes as an unbroken one.

`loop.py` reads from top to bottom; `task.py` has what a model offers and `config.py` the sections of params.yaml.
"""
