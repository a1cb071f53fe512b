"""When the garbage collector should keep out of the way."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["collector_paused"]


@contextmanager
def collector_paused() -> Iterator[None]:
    """Where all that is made is kept, and none of it is a circle: to look through it for what can
    be freed, again and again as it grows, took two fifths of the time.

    At the end all of it is put among what is old (frozen, and released there), or the first thing
    that the collector did would be to look through it after all. What is young before is looked
    through first: it may be circles, which would wait long among what is old.
    """
    was_on = gc.isenabled()
    if was_on:
        gc.collect(1)
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.freeze()
            gc.unfreeze()
            gc.enable()
