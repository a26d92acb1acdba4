"""The numbers and tables of the rules, as data."""
