"""The text of ``/metrics``: rendered once for each version, however many ask."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

from prometheus_client import CollectorRegistry

from exporter.model.compression import gzip_pieces
from exporter.serve.site_series import Encoder, render, rendered

# Callers with the same rights share one.
MOST_EXPOSITIONS = 64


class Exposition:
    """The metrics of a registry, as text.

    Parameters
    ----------
    registry : CollectorRegistry
    version : callable or None
        An object that stays the same as long as the metrics do; None: they are rendered anew for
        whoever asks.
    """

    def __init__(
        self, registry: CollectorRegistry, version: Callable[[], object] | None = None
    ) -> None:
        self._registry = registry
        self._version = version
        self._rendered: object = None
        self._bodies: dict[tuple[str, bool], bytes] = {}
        # Callers in other threads wait for the one that renders, and take what it made.
        self._lock = threading.Lock()

    def body(self, encoder: Encoder, content_type: str, *, compressed: bool) -> bytes:
        """The text in an encoding of the client library; blocks while it is rendered.

        Parameters
        ----------
        encoder : callable
        content_type : str
            Names the encoding.
        compressed : bool
            Whether it is wanted as gzip.
        """
        with self._lock:
            version = self._version() if self._version else object()
            if version is not self._rendered:
                self._rendered = version
                self._bodies.clear()
            key = (content_type, compressed)
            if key not in self._bodies:
                plain = self._bodies.get((content_type, False))
                if compressed:
                    pieces = rendered(self._registry, encoder) if plain is None else (plain,)
                    # Piece by piece, so that the whole text, 2 kB a site, is never held.
                    self._bodies[key] = gzip_pieces(pieces)
                else:
                    self._bodies[key] = render(self._registry, encoder)
            return self._bodies[key]


class Expositions:
    """One :class:`Exposition` of a registry for each set of rights, whose metrics differ.

    Parameters are those of :class:`Exposition`.
    """

    def __init__(
        self, registry: CollectorRegistry, version: Callable[[], object] | None = None
    ) -> None:
        self._registry = registry
        self._version = version
        self._by_rights: OrderedDict[Hashable, Exposition] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, rights: Hashable) -> Exposition:
        """That for callers with these rights."""
        with self._lock:
            found = self._by_rights.get(rights)
            if found is None:
                found = self._by_rights[rights] = Exposition(self._registry, self._version)
            self._by_rights.move_to_end(rights)
            if len(self._by_rights) > MOST_EXPOSITIONS:
                self._by_rights.popitem(last=False)
            return found
