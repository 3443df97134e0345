"""An S3 server (moto) on a port of its own, or on one that was given: says which, and ends when nobody holds it any more."""

import json
import sys

from moto.server import ThreadedMotoServer

server = ThreadedMotoServer(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0, verbose=False)
server.start()
host, port = server.get_host_and_port()
print(json.dumps({"event": "listening", "port": port}), flush=True)
sys.stdin.read()
