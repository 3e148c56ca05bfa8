"""Arms in, draws out: the hierarchy, its engines and the simulator."""
