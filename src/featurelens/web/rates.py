"""So many requests a second for each client."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from featurelens.web.problems import answer, busy

_CLIENTS = 10_000  # remembered at most; those longest unseen are forgotten
_FREE = ("/health", "/static/")


class Rates:
    """A bucket of `burst` tokens for each client, filled with `rate` a second.

    >>> now = [0.0]
    >>> rates = Rates(rate=2.0, burst=2, clock=lambda: now[0])
    >>> [rates.wait("ann") for _ in range(3)], rates.wait("bob")
    ([0.0, 0.0, 0.5], 0.0)
    >>> now[0] = 0.5
    >>> rates.wait("ann")
    0.0
    """

    def __init__(self, *, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, max(1, burst), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """0 and one token less, or the seconds until there is one."""
        now = self._clock()
        left, since = self._left.pop(client, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._rate)
        free = left >= 1
        self._left[client] = (left - 1 if free else left, now)
        if len(self._left) > _CLIENTS:
            self._left.popitem(last=False)
        return 0.0 if free else (1 - left) / self._rate


class RateLimit:
    """ASGI middleware; a client is an address (of IPv6 its /64), files of the pages and /health are free."""

    def __init__(self, app: ASGIApp, *, rates: Rates) -> None:
        self._app, self._rates = app, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(_FREE):
            seconds = self._rates.wait(client_of(scope))
            if seconds:
                problem = busy(
                    "You send more requests than this service takes from one client", seconds + 0.5
                )
                await answer(scope["path"], problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Whom a request counts for.

    >>> client_of({"client": ("2001:db8:1:2:aaaa::1", 1)}), client_of({"client": ("10.0.0.7", 1)})
    ('2001:db8:1:2::/64', '10.0.0.7')
    """
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else host
