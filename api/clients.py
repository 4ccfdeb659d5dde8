"""Who asks, as far as an address tells."""

import ipaddress

from starlette.requests import Request


def network_of(request: Request) -> str:
    """The client's address (`X-Forwarded-For` counts only from `CHECKOUT_TRUSTED_PROXIES`); empty if there is none.

    Of an IPv6 address the /64, which is the least that one customer of a provider has (RFC 6177).
    """
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
