"""npm's ``oidc-provider`` as a process, and the two ways to get a token from it: as a person and as a workload."""

import base64
import fcntl
import hashlib
import http.cookiejar
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Self

import pytest

from house_marks import ROOT

HERE = Path(__file__).parent / "oidc"
INSTALLED = ROOT / "build" / "npm-oidc"
VERIFIER = "a-verifier-of-the-test-that-is-long-enough-for-pkce"
BACK = "http://127.0.0.1/back"
MOST_STEPS = 12


def install() -> Path:
    """The folder with the provider and what it needs, fetched once as the lock file says."""
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
    INSTALLED.mkdir(parents=True, exist_ok=True)
    with (INSTALLED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = (HERE / "package-lock.json").read_bytes()
        done = INSTALLED / ".installed"
        if not done.is_file() or done.read_bytes() != wanted:
            done.unlink(missing_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED / name)
            command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            found = subprocess.run(command, cwd=INSTALLED, capture_output=True, text=True, timeout=120, check=False)
            if found.returncode:
                pytest.skip(f"oidc-provider cannot be fetched: {found.stderr.strip()[-200:]}")
            done.write_bytes(wanted)
        shutil.copy(HERE / "provider.mjs", INSTALLED / "provider.mjs")
    return INSTALLED


class OidcProvider:
    """A context manager around the provider."""

    def __enter__(self) -> Self:
        folder = install()
        self._log = (folder / "provider.log").open("wb")
        self._process = subprocess.Popen(
            ["node", "provider.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
        )
        self.issuer = self._process.stdout.readline().decode().strip()
        assert self.issuer, (folder / "provider.log").read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()
        self._log.close()

    def tell(self, command: str) -> None:
        """One of its commands."""
        self._process.stdin.write(f"{command}\n".encode())
        self._process.stdin.flush()
        assert self._process.stdout.readline() == b"ok\n"

    def workload_token(self, resource: str = "urn:gateway") -> str:
        """Client credentials (RFC 6749, section 4.4)."""
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "ask"}
        secret = base64.b64encode(b"workload:a+secret+of+the+test").decode()
        return self._token(form, {"authorization": f"Basic {secret}"})["access_token"]

    def log_in(self, name: str) -> dict:
        """A person at a browser: authorisation code with PKCE (RFC 7636), login and consent on the provider's pages."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
        query = {
            "client_id": "browser",
            "response_type": "code",
            "redirect_uri": BACK,
            "scope": "openid ask",
            "resource": "urn:gateway",
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": "of the test",
        }
        back = self._browse(f"{self.issuer}/auth?{urllib.parse.urlencode(query)}", name)
        assert back["state"] == ["of the test"]
        form = {
            "grant_type": "authorization_code",
            "code": back["code"][0],
            "client_id": "browser",
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "resource": "urn:gateway",
        }
        return self._token(form, {})

    def _token(self, form: dict, headers: dict) -> dict:
        data = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.issuer}/token", data, headers)) as answer:
            return json.loads(answer.read())

    @staticmethod
    def _browse(url: str, name: str) -> dict[str, list[str]]:
        """Follow redirects and fill in forms until the provider sends the browser back."""
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        browser = urllib.request.build_opener(cookies, _NoRedirect())
        form = None
        for _ in range(MOST_STEPS):
            location, page = _visit(browser, url, form)
            form = None
            if location.startswith(BACK):
                return urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)
            if location:
                url = urllib.parse.urljoin(url, location)
                continue
            url = re.search(r'action="([^"]+)"', page)[1]
            prompt = re.search(r'name="prompt" value="(\w+)"', page)[1]
            form = {"prompt": prompt, "login": name, "password": "any"}
        raise AssertionError(f"no way back from {url}")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Leave it to the one who browses: the last redirect leads to an address where nobody is."""


def _visit(browser: urllib.request.OpenerDirector, url: str, form: dict | None) -> tuple[str, str]:
    data = None if form is None else urllib.parse.urlencode(form).encode()
    try:
        with browser.open(url, data) as answer:
            return "", answer.read().decode()
    except urllib.error.HTTPError as redirect:
        with redirect:
            if redirect.code != 303:
                raise AssertionError(redirect.read()) from redirect
            return redirect.headers["location"], ""
