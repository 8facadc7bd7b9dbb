"""The bars, and what is measured beside them. Each function takes a Stage and returns results."""
