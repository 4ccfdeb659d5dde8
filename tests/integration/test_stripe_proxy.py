"""Stripe through an egress proxy: a real one, which forwards plain requests and opens tunnels for encrypted ones."""

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from checkout.errors import PaymentUnreachable
from checkout.sessions import SessionStatus
from runtime.settings import load_settings
from tests.integration.payment_mock.serving import KEY
from tests.integration.simulator import Simulator, request
from worker.payments.stripe_adapter import StripeProvider

USER = "shop:p%40ss"  # percent-encoded, as in any address
STRIPE = "http://api.stripe.example"  # resolves nowhere: only the proxy knows where it is


class ForwardProxy:
    """Sends everything to one server, and keeps what it could read on the way."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self.heads: list[str] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with listener:
            yield f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        there, there_writer = await asyncio.open_connection(*self._server)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            there_writer.write(head)
        with contextlib.suppress(OSError):
            await asyncio.gather(self._pump(reader, there_writer), self._pump(there, writer))

    @staticmethod
    async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


def server_of(simulator: Simulator) -> tuple[str, int]:
    return "127.0.0.1", simulator.http.base_url.port or 0


async def test_stripe_is_reached_through_the_proxy_alone(simulator: Simulator) -> None:
    proxy = ForwardProxy(server_of(simulator))
    async with proxy.listening() as address:
        settings = load_settings(STRIPE_API_BASE=STRIPE, STRIPE_SECRET_KEY=KEY, STRIPE_PROXY=f"http://{USER}@{address}")
        provider = StripeProvider(settings)
        opened = await provider.create_session(request())
        assert (await provider.retrieve_session(opened.session_id)).status is SessionStatus.OPEN
    assert proxy.heads[0].startswith(f"POST {STRIPE}/v1/checkout/sessions HTTP/1.1\r\n")
    assert f"proxy-authorization: basic {base64.b64encode(b'shop:p@ss').decode()}".lower() in proxy.heads[0].lower()


async def test_what_is_encrypted_goes_through_a_tunnel_in_which_the_proxy_reads_no_key(simulator: Simulator) -> None:
    """Behind this tunnel nobody speaks TLS: no answer, and nothing was said."""
    proxy = ForwardProxy(server_of(simulator))
    async with proxy.listening() as address:
        settings = load_settings(
            STRIPE_API_BASE=STRIPE.replace("http:", "https:"),
            STRIPE_SECRET_KEY=KEY,
            STRIPE_PROXY=f"http://{USER}@{address}",
        )
        with pytest.raises(PaymentUnreachable):
            await StripeProvider(settings).retrieve_session("cs_1")
    assert [head.split("\r\n")[0] for head in proxy.heads] == ["CONNECT api.stripe.example:443 HTTP/1.1"]
    assert KEY not in proxy.heads[0]


async def test_a_proxy_that_is_away_is_no_answer_and_is_not_gone_around(simulator: Simulator) -> None:
    settings = load_settings(STRIPE_API_BASE=STRIPE, STRIPE_SECRET_KEY=KEY, STRIPE_PROXY="http://127.0.0.1:9")
    with pytest.raises(PaymentUnreachable):
        await StripeProvider(settings).retrieve_session("cs_1")


async def test_nobody_on_this_machine_is_asked_through_the_proxy(simulator: Simulator) -> None:
    base = str(simulator.http.base_url)
    settings = load_settings(STRIPE_API_BASE=base, STRIPE_SECRET_KEY=KEY, STRIPE_PROXY="http://127.0.0.1:9")
    assert (await StripeProvider(settings).create_session(request())).url


async def test_a_proxy_that_the_shell_names_is_not_heard(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = ForwardProxy(server_of(simulator))
    async with proxy.listening() as address:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://{address}")
        provider = StripeProvider(load_settings(STRIPE_API_BASE=STRIPE, STRIPE_SECRET_KEY=KEY))
        with pytest.raises(PaymentUnreachable):
            await provider.retrieve_session("cs_1")
    assert proxy.heads == []
