"""moto's S3 on a free port of loopback, until standard input closes; prints the port.

Run by an interpreter that has moto: ``python moto_server.py``.
"""

import logging
import sys


def main() -> None:
    """Serve."""
    from moto.server import ThreadedMotoServer  # type: ignore[import-not-found]

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    sys.stdout.write(f"{server.get_host_and_port()[1]}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main()
