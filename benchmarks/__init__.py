"""Recorded studies and timings: commands of the checkout, not part of the installed package."""
