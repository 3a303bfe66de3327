"""Access tokens, minted by ourselves: the SDK's own logins are SOAP, which is ending, or lose headers on renewal.

https://help.salesforce.com/s/articleView?id=sf.remoteaccess_oauth_flows.htm
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import jwt

from connector.errors import ConfigurationError

_JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Longest life of an assertion Salesforce takes.
_ASSERTION = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class Grant:
    """How a connection gets its tokens. `kind` is jwt, client_credentials or refresh_token."""

    kind: str
    client_id: str
    username: str = ""
    secret: str = field(default="", repr=False)
    private_key: str = field(default="", repr=False)
    refresh_token: str = field(default="", repr=False)

    def form(self, origin: str) -> Mapping[str, str]:
        """Return the form that asks for a token.

        Raises:
            ConfigurationError: the private key cannot sign.
        """
        if self.kind == "jwt":
            return {"grant_type": _JWT_GRANT, "assertion": self._assertion(origin)}
        form = {"grant_type": self.kind, "client_id": self.client_id}
        if self.secret:
            form["client_secret"] = self.secret
        if self.kind == "refresh_token":
            form["refresh_token"] = self.refresh_token
        return form

    def _assertion(self, origin: str) -> str:
        claims = {
            "iss": self.client_id,
            "sub": self.username,
            "aud": audience(origin),
            "exp": int((datetime.now(UTC) + _ASSERTION).timestamp()),
        }
        try:
            return jwt.encode(claims, self.private_key, algorithm="RS256")
        except (jwt.PyJWTError, ValueError, TypeError):
            pass
        raise ConfigurationError("the secret private_key is no RSA key in PEM: export it again")


def grant_of(key: str, options: Mapping[str, str], secrets: Mapping[str, str]) -> Grant:
    """Return the grant a connection's settings stand for.

    Raises:
        ConfigurationError: they stand for none.
    """
    client = options.get("client_id", "")
    secret = secrets.get("client_secret", "")
    if client and secrets.get("private_key") and options.get("username"):
        return Grant("jwt", client, options["username"], private_key=secrets["private_key"])
    if client and secrets.get("refresh_token"):
        return Grant("refresh_token", client, secret=secret, refresh_token=secrets["refresh_token"])
    if client and secret:
        return Grant("client_credentials", client, secret=secret)
    raise ConfigurationError(
        f"connection {key}: Salesforce needs the option client_id and one of: the option username with the secret "
        "private_key (JWT bearer), the secret client_secret (client credentials), the secret refresh_token"
    )


def audience(origin: str) -> str:
    """Return whom an assertion is for: sandboxes are logged in to at test.salesforce.com."""
    host = urlsplit(origin).hostname or ""
    name = "test" if ".sandbox." in host or "--" in host else "login"
    return f"https://{name}.salesforce.com"


def refused(code: str, description: str) -> str:
    """Return what an administrator does about an OAuth error."""
    if code == "invalid_grant" and "approved" in description:
        return "the user has not approved the app: pre-authorise a permission set of theirs in the External Client App"
    if code == "invalid_grant" and "inactive" in description:
        return "the user the app runs as is inactive: activate them, or name another"
    advice = {
        "invalid_grant": "the key, the user, the clock or the address does not fit: check the certificate of the app, "
        "the option username and base_url, and whether the refresh token was revoked",
        "invalid_client_id": "the option client_id is unknown: copy the consumer key of the External Client App",
        "invalid_client": "client_id or client_secret is wrong: copy both from the External Client App",
        "unauthorized_client": "the app may not use this flow: enable it in the External Client App",
        "inactive_user": "the user the app runs as is inactive: activate them, or name another",
        "inactive_org": "the organisation is locked, closed or suspended: talk to Salesforce",
    }
    return advice.get(code, "the External Client App refuses: look at its Login History")
