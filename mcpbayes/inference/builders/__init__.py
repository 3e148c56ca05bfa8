"""Dataset and specification in, PyMC model out: the only importers of PyMC besides the sampler."""
