"""An identity provider for tests: signs tokens, serves its discovery document and keys on a real socket, and misbehaves."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

RSA = RSAKey.generate_key(2048, {"kid": "rsa-1", "use": "sig"})
OTHER_RSA = RSAKey.generate_key(2048, {"kid": "rsa-2", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec-1"})
EC384 = ECKey.generate_key("P-384", {"kid": "ec-384"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed-1"})


def b64(data):
    """Base64url without padding, as JWS writes it."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign_token(claims, key=RSA, *, algorithm="RS256", header=None):
    """The compact form of a token, as bytes; signs whatever a hostile client would sign, without the library's checks."""
    head = {"alg": algorithm, "typ": "JWT", "kid": key.kid} | (header or {})
    head = {name: value for name, value in head.items() if value is not None}
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    signed = b64(json.dumps(head).encode()) + b"." + b64(payload)
    return signed + b"." + b64(JWSRegistry.algorithms[algorithm].sign(signed, key))


class Issuer:
    """What the provider answers; a test changes it while it runs."""

    def __init__(self):
        self.keys = [RSA, EC, ED]
        self.asked = []
        self.third_look = threading.Event()
        self.broken = False
        self.answers = {}
        self.url = ""

    def answer(self, path):
        """Status, headers and body of one answer."""
        if path in self.answers:
            return self.answers[path]
        if self.broken:
            return 503, {}, b"{}"
        if path == "/.well-known/openid-configuration":
            body = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            return 200, {}, json.dumps(body).encode()
        if path == "/keys":
            return 200, {}, json.dumps(KeySet(list(self.keys)).as_dict(private=False)).encode()
        return 404, {}, b""


@contextmanager
def running_issuer(context=None):
    """A provider on a free port of this machine; with TLS when there is a context for it."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            issuer.asked.append(self.path)
            if issuer.asked.count("/keys") >= 3:
                issuer.third_look.set()
            status, headers, body = issuer.answer(self.path)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "content-length" not in headers and "transfer-encoding" not in headers:
                self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # a client that does not trust us is no news
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    issuer.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
