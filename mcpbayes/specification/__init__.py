"""Which model, and how much prior: TOML files, formulas, priors and the catalogue."""
