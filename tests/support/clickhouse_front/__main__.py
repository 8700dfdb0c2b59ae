"""`python -m tests.support.clickhouse_front --path DIR`: serve until Ctrl-C. The first line on stdout is the DSN."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from tests.support.clickhouse_front.server import FrontServer


def main() -> None:
    """Serve until a signal comes or, when asked so, until standard input closes. It does not return."""
    options = _options()
    try:
        server = FrontServer(options.host, options.port, options.path)
    except (OSError, RuntimeError) as error:
        sys.exit(f"cannot serve {options.path} on {options.host}:{options.port}: {error}")
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    if options.until_stdin_closes:
        threading.Thread(target=_set_when_stdin_closes, args=(ending,), daemon=True).start()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    sys.stdout.write(f"{server.dsn}\n")
    sys.stdout.flush()
    ending.wait()
    server.shutdown()
    server.server_close()
    server.engine.close()
    os._exit(0)  # the engine's own threads crash an ordinary interpreter exit now and then


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="clickhouse_front", description=__doc__)
    parser.add_argument("--path", type=Path, required=True, help="folder of the data; made when it is missing")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8123, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that holds our stdin")
    return parser.parse_args()


def _set_when_stdin_closes(ending: threading.Event) -> None:
    sys.stdin.buffer.read()
    ending.set()


if __name__ == "__main__":
    main()
