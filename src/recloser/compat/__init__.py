"""Other libraries' names on recloser: one module per library, each on its own.

Import the one you come from in place of the original; it need not be installed:

    from recloser.compat import pybreaker

Nothing is imported here, so one facade never pays for another.
"""
