"""A tiny model served on a loopback port of its own."""

import threading
import time
from contextlib import contextmanager

import uvicorn

from ctxeng.runtime.box import Box
from ctxeng.runtime.server.app import Server
from tiny_folder import tiny_folder


@contextmanager
def served(folder, memory=1 << 26, template=None, **options):
    """The server and its address; at the end it is shut down, and its engine closed."""
    box = Box.open(tiny_folder(folder, **({"template": template} if template else {})), memory=memory)
    made = Server(box, **options)
    config = uvicorn.Config(made.app(), port=0, log_level="error", timeout_graceful_shutdown=2)
    web = uvicorn.Server(config)
    thread = threading.Thread(target=web.run, daemon=True)
    thread.start()
    while not web.started:
        time.sleep(0.01)
    port = web.servers[0].sockets[0].getsockname()[1]
    try:
        yield made, f"http://127.0.0.1:{port}"
    finally:
        web.should_exit = True
        thread.join()
        box.close()
