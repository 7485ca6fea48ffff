"""Bridges to other packages of the field, each imported only where it is used."""
