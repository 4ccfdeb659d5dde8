"""What a setting's text may be. Each check returns the value as it will be used and raises `ValueError`, whose sentence
follows the variable's name and never quotes a secret."""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

_HOST = re.compile(r"[^\s/\\@?#:%\[\]]{1,253}")
_DATABASE = re.compile(r"(postgresql|postgres|postgresql\+asyncpg)://", re.ASCII)
_DATABASE_HOST = re.compile(r"(\[[^\]]+\]|[^:\[\]]*)(:\d{1,5})?", re.ASCII)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_KEY_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_KEY_BYTES = 32  # AES-256


def _must(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(f"must {what}")


def http_url(text: str) -> str:
    """The base of addresses: `https://shop.example.com`, perhaps with a port and a path; no slash at the end."""
    _must(text.startswith(("http://", "https://")), "begin with http:// or https://")
    authority = text.split("/")[2]
    _must("@" not in authority, "not hold a user or a password")
    _must(_has_none_of("?#\\", text), "be an address alone: no blank, no ?, no #")
    _must(_is_address(authority), "name a host, and at most a port, as in https://shop.example.com")
    return text.rstrip("/")


def proxy_url(text: str) -> str:
    """`http://user:password@proxy.example.com:3128`; a password only if the proxy asks for one."""
    _must(text.startswith(("http://", "https://")), "begin with http:// or https://")
    url = text.rstrip("/")
    authority = url.partition("://")[2]
    is_quoted = _has_none_of("/?#\\", authority) and authority.count("@") <= 1
    _must(is_quoted, "be http://host:port, with / ? # and @ of a user or password percent-encoded (%2F, …)")
    has_port = _is_address(authority.rpartition("@")[2], port_needed=True)
    _must(has_port, "name a host and a port, as in http://proxy.example.com:3128")
    return url


def origin_url(text: str) -> str:
    """`https://shop.example.com`: a host of our own: links, cookies and scripts' addresses begin at its root."""
    url = http_url(text)
    _must(url.count("/") == 2, "end with its host: the shop cannot live below a path, give it a host name of its own")
    return url


def database_url(text: str) -> str:
    """`postgresql://user:password@host:port/database?sslmode=…`, as asyncpg reads it; several hosts, too. SQLAlchemy's
    spelling, `postgresql+asyncpg://`, is understood."""
    _must(bool(_DATABASE.match(text)), "be a PostgreSQL address: postgresql://user:password@host:port/database")
    try:
        parts = urlsplit(text)
        hosts = parts.netloc.rpartition("@")[2].split(",")
        sound = not parts.fragment and all(_DATABASE_HOST.fullmatch(one) for one in hosts)
    except ValueError:
        sound = False
    # Most often because of a password that is written as it is.
    _must(sound, "have / ? # and @ in its user and password percent-encoded (%2F %3F %23 %40), a port behind")
    mode = parse_qs(parts.query).get("sslmode", ["prefer"])[-1]
    _must(mode in _SSL_MODES, f"have one of these as sslmode: {', '.join(_SSL_MODES)}")
    return text.replace("postgresql+asyncpg://", "postgresql://", 1)


def host(text: str) -> str:
    """Where to listen: a name or an address, without a port."""
    _must(_is_host(text), "be a host name or an IP address, without a port")
    return text


def host_and_port(text: str) -> str:
    """`host:port`, or `[IPv6]:port`."""
    _must(_is_address(text, port_needed=True), "be written host:port")
    return text


def address_and_port(text: str) -> str:
    """`127.0.0.1:9464`: Temporal's SDK listens on addresses only, not on names."""
    try:
        ipaddress.ip_address(host_and_port(text).rpartition(":")[0].strip("[]"))
    except ValueError:
        raise ValueError("must be an IP address and a port, such as 127.0.0.1:9464") from None
    return text


def networks(text: str) -> str:
    """Addresses and networks, comma-separated, each as its library writes it (`10.0.0.7/8` is `10.0.0.0/8`)."""
    try:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        found = [ipaddress.ip_network(p, strict=False) if "/" in p else ipaddress.ip_address(p) for p in parts]
    except ValueError:
        raise ValueError("must be IP addresses or networks, comma-separated, such as 10.0.0.7,10.1.0.0/16") from None
    return ",".join(map(str, found))


def secret(*not_these: str) -> Callable[[str], str]:
    """What travels in a header: printable ASCII without blanks, and not the kind of secret that begins like those."""

    def check(text: str) -> str:
        _must(text.isascii() and text.isprintable() and " " not in text, "be printable ASCII without blanks")
        _must(not text.startswith(not_these), f"be another kind of secret than one that begins with {text[:3]}")
        return text

    return check


@dataclass(frozen=True)
class PayloadKey:
    """For the payloads in Temporal's histories: `id` travels with each, readable; `secret` is 256 bits, never shown."""

    id: str
    secret: bytes = field(repr=False)


def parse_payload_keys(text: str) -> tuple[PayloadKey, ...]:
    """`new:base64,old:base64`: the first encrypts, all decrypt. docs/operations.md says how to make and rotate them."""
    keys = tuple(_payload_key(part.strip(), number) for number, part in enumerate(text.split(","), 1) if part.strip())
    ids = [key.id for key in keys]
    if len(set(ids)) < len(ids):
        raise ValueError("holds two keys with one id")
    if len({key.secret for key in keys}) < len(keys):
        raise ValueError("holds one key twice under two ids; every key must be a random one of its own")
    return keys


def _payload_key(part: str, number: int) -> PayloadKey:
    key_id, separator, encoded = part.partition(":")
    if not separator or not _KEY_ID.fullmatch(key_id):
        raise ValueError(f"key {number} must be written id:base64key, the id 1 to 64 of A-Z a-z 0-9 _ . -")
    try:
        # Both alphabets of RFC 4648: `openssl rand -base64 32` writes one, `secrets.token_urlsafe` the other.
        padded = encoded.replace("-", "+").replace("_", "/").rstrip("=")
        secret = base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"key {key_id!r} is not base64") from None
    if len(secret) != _KEY_BYTES:
        raise ValueError(f"key {key_id!r} has {len(secret) * 8} bits, it must have {_KEY_BYTES * 8}")
    if len(set(secret)) < 8:
        raise ValueError(f"key {key_id!r} is not random")
    return PayloadKey(key_id, secret)


def _has_none_of(signs: str, text: str) -> bool:
    """Whether no character of it is one of the `signs` or a blank."""
    return not any(sign in signs or sign.isspace() for sign in text)


def _is_address(text: str, *, port_needed: bool = False) -> bool:
    name, _, port = text.rpartition(":") if re.search(r":\d*$", text) else (text, "", "")
    if (port_needed or port) and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65_535):
        return False
    if name.startswith("[") and name.endswith("]"):
        return ":" in name and _is_host(name[1:-1])
    return ":" not in name and _is_host(name)


def _is_host(text: str) -> bool:
    if ":" not in text:
        return _HOST.fullmatch(text) is not None
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
