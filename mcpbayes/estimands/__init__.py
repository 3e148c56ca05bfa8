"""Draws in, draws out: effects at their levels, ΔMCP, scenarios, decisions."""
