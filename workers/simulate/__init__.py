"""A made ward: patients, courses, notes and films drawn by the program, as the records that a hospital would send.

Pure and seeded: the same arguments give the same bytes. Nobody in it exists.
"""

from workers.simulate.record import Record
from workers.simulate.ward import WardPlan, ward

__all__ = ["Record", "WardPlan", "ward"]
