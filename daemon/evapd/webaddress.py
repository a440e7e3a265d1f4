"""Which web addresses may be used, and which of them are this machine."""

import ipaddress
import re
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its number or as `localhost`."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_url(url: str, *, secret: bool) -> None:
    """Accept http and https addresses without a name and password in them; with a secret, http to this machine only.

    Raises:
        ValueError: for any other; the text does not repeat the address, which may be a secret itself.
    """
    if not re.fullmatch(r"[!-~]{1,2000}", url):
        raise ValueError("the webhook's address has blanks or characters that are not ASCII")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"the webhook's address cannot be read: {error}") from None
    if parts.scheme not in {"http", "https"} or not host or parts.username is not None:
        raise ValueError(
            "the webhook's address must be http(s)://HOST/..., without a user in it; secrets go to token_file"
        )
    if secret and parts.scheme == "http" and not is_loopback(host):
        raise ValueError("a token would go over the network unencrypted: use https")
