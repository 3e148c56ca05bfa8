"""Figures; the only importers of Matplotlib."""
