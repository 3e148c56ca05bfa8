"""A file in, labelled arms out: reading, schema, checks, preparation."""
