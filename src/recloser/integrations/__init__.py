"""Where people meet a breaker: one module per library, imported by its name.

    from recloser.integrations import httpx

Each needs the extra of its own name (`pip install 'recloser[httpx]'`) and says so when
its library is missing or too old. Nothing is imported here, so one integration never
pays for another.
"""
