"""Figures; the only importers of Matplotlib and arviz_plots."""
