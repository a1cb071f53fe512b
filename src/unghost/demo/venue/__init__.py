"""A simulated exchange that real CCXT clients talk to over HTTP on loopback."""

from unghost.demo.venue.control import ControlRefusedError, VenueControl
from unghost.demo.venue.faults import Fault, FaultKind
from unghost.demo.venue.running import running_venue, spawned_venue
from unghost.demo.venue.server import Request, Venue

__all__ = [
    "ControlRefusedError",
    "Fault",
    "FaultKind",
    "Request",
    "Venue",
    "VenueControl",
    "running_venue",
    "spawned_venue",
]
