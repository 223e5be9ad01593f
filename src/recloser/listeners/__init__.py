"""Listeners that come in the box, one module each."""
