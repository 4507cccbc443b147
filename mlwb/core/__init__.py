"""What every room may use: errors, canonical bytes, durable files, clocks, ids, the bar layout.

Belongs here: things with no opinion about markets, models or servers, needed by more than one room.
Does not belong here: anything that reads the environment, prints, or knows a limit.
Modules have plain names and are imported by full path: ``from mlwb.core.errors import DataError``.
"""
