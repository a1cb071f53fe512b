"""A server on loopback that answers by path what a test wrote down, and notes what was asked."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import web

Asked = dict[str, list[str]]
"""The parameters of a call, of its query and of its form; each name with all its values."""


class Script:
    """Answers by path: JSON, a function of the parameters that makes it, or a text: a web page."""

    def __init__(self, answers: dict[str, Any | Callable[[Asked], Any]]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Asked]] = []
        self.base_url = ""
        self.rows: dict[str, Any] = {}
        """What a test may change of the answers' contents."""

    def calls(self, path: str) -> list[Asked]:
        return [asked for where, asked in self.asked if where == path]

    async def answer(self, request: web.Request) -> web.Response:
        asked: Asked = {}
        for told in (request.query, await request.post()):
            for name in told:
                asked[name] = [str(each) for each in told.getall(name)]
        self.asked.append((request.path, asked))
        answer = self.answers.get(request.path)
        if answer is None:
            return web.json_response({"error": f"nothing is at {request.path}"}, status=404)
        if isinstance(answer, str):
            return web.Response(text=answer, content_type="text/html")
        return web.json_response(answer(asked) if callable(answer) else answer)


@contextmanager
def served(script: Script) -> Iterator[Script]:
    started, loop = threading.Event(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", script.answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        script.base_url = "http://{}:{}".format(*runner.addresses[0][:2])
        started.set()
        return runner

    def run() -> None:
        runner = loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    yield script
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
