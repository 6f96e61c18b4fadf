"""The report on a voice: the names of its metrics, its figures, and the HTML page."""
