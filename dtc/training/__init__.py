"""The trainer, one for every model. A run that is resumed gives the same bytes as an unbroken one.

Start with `loop.py`. `task.py` is the interface to the model, and `config.py` has the sections of params.yaml.
"""
