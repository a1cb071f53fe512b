"""`python -m unghost.demo.venue`: a venue as its own process.

It prints one JSON line with its base URL and runs until SIGTERM, SIGINT or POST /_sim/shutdown,
until the process that started it is gone, or until its longest life is over.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from unghost.demo.venue.running import serve
from unghost.demo.venue.server import Venue
from unghost.demo.world import World

PARENT_POLL_SECONDS: Final = 1
DEFAULT_LIFE_SECONDS: Final = 12 * 3600
LONGEST_LIFE_SECONDS: Final = 7 * 24 * 3600


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a venue and return the exit code: 0 stopped, 2 usage, 3 no world or port taken."""
    options = _parser().parse_args(arguments)
    parent = os.getppid()
    try:
        world = World.from_json(options.world.read_bytes())
        asyncio.run(_run(Venue(world), options, parent))
    except (OSError, ValidationError) as error:
        print(f"venue: {error}", file=sys.stderr)
        return 3
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m unghost.demo.venue", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0, the default, is any free port")
    parser.add_argument("--world", type=Path, required=True, help="the world, as JSON")
    parser.add_argument("--announce", type=Path, help="also write the JSON line to this file")
    parser.add_argument(
        "--max-life",
        type=_life,
        default=DEFAULT_LIFE_SECONDS,
        help="seconds after which it ends by itself (default: %(default)s)",
    )
    return parser


def _life(text: str) -> int:
    seconds = int(text)
    if not 0 < seconds <= LONGEST_LIFE_SECONDS:
        raise argparse.ArgumentTypeError(f"between 1 and {LONGEST_LIFE_SECONDS} seconds")
    return seconds


async def _run(venue: Venue, options: argparse.Namespace, parent: int) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(options.max_life, stop.set)
    _stop_with_parent(loop, parent, stop)
    await serve(
        venue,
        port=options.port,
        stop=stop,
        ready=lambda: _announce(venue.base_url, options.announce),
    )


def _stop_with_parent(loop: asyncio.AbstractEventLoop, parent: int, stop: asyncio.Event) -> None:
    """An orphan is adopted, so its parent's id changes."""
    if os.getppid() == parent:
        loop.call_later(PARENT_POLL_SECONDS, _stop_with_parent, loop, parent, stop)
    else:
        stop.set()


def _announce(base_url: str, file: Path | None) -> None:
    line = json.dumps({"base_url": base_url, "pid": os.getpid()})
    print(line, flush=True)
    if file is not None:
        # Written beside and moved, so that a reader never sees half a line.
        draft = file.with_name(f".{file.name}.{os.getpid()}")
        draft.write_text(line + "\n", encoding="utf-8")
        draft.replace(file)


if __name__ == "__main__":
    sys.exit(main())
