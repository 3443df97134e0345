"""A receiver of webhooks: verifies with `standardwebhooks` (v1) and `cryptography` (v1a), and tells what came, a line each.

Keys come on standard input, a JSON list a line; the path says what is answered: /take, /refuse/STATUS, /gone, /hang, /redirect.
With a certificate and its key as arguments it speaks TLS.
"""

import base64
import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

KEYS = []
LOCK = threading.Lock()


def tell(what):
    with LOCK:
        print(json.dumps(what), flush=True)


def verifies(key, headers, body):
    """Whether the signature of one key is among those of the headers."""
    if key.startswith("whsec_"):
        try:
            Webhook(key).verify(body, headers)
            return True
        except WebhookVerificationError:
            return False
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key.removeprefix("whpk_")))
    if abs(time.time() - int(headers["webhook-timestamp"])) > 300:
        return False
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    for signature in headers["webhook-signature"].split(" "):
        version, _, text = signature.partition(",")
        if version != "v1a":
            continue
        try:
            public.verify(base64.b64decode(text), signed)
            return True
        except InvalidSignature:
            pass
    return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = self.path.split("?")[0]
        tell(
            {
                "path": path,
                "id": headers.get("webhook-id"),
                "type": headers.get("content-type"),
                "verified": [key for key in list(KEYS) if verifies(key, headers, body)],
                "headers": {name: headers[name] for name in headers if name.startswith("webhook-")},
                "body": body.decode(),
            }
        )
        if path == "/hang":
            time.sleep(60)
        status = 204
        if path.startswith("/refuse/"):
            status = int(path.rsplit("/", 1)[1])
        elif path == "/gone":
            status = 410
        elif path == "/redirect":
            status = 307
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "/take")
        if status == 429:
            self.send_header("Retry-After", "3600")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def listen():
    for line in sys.stdin:
        KEYS[:] = json.loads(line)
        tell({"keys": len(KEYS)})
    # Whoever started us has ended.
    import os

    os._exit(0)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) == 3:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=listen, daemon=True).start()
tell({"port": server.server_address[1]})
server.serve_forever()
