"""Figures and the page that shows a voice."""
