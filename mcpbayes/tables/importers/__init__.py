"""Other people's databases in, tables of our layouts out: every row of the source is used or listed with its reason."""
