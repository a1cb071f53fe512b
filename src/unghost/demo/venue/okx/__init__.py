"""OKX v5 as its REST clients know it: passphrases, contracts, bill ids, one envelope.

Swaps are traded, in contracts of the listing's size; the spot markets are only named. What the
exchange leaves undocumented is decided so that a client may rely on less, never on more.
"""

from unghost.demo.venue.okx.face import Okx

__all__ = ["Okx"]
