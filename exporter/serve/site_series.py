"""Metrics with a sample for each site, written from arrays.

A fleet of 10,000 sites has 300,000 samples. As objects of the client library they cost seconds at
every scrape; here a metric keeps its values as arrays and label texts as bytes, and becomes text in
a few joins. To the client library it is a metric like any other: its encoders, which are asked for
the samples one by one, write the same bytes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric, Sample
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

FloatArray = NDArray[np.float64]
Encoder = Callable[[Collector], bytes]
Labels = tuple[tuple[str, str], ...]
"""Names and values of the labels of a sample other than ``site``."""

_SITE, _PROJECT = "site", "project"
_END = b"# EOF\n"
# Between these, orjson writes a float as the text format wants it.
_SMALLEST, _LARGEST = 1e-4, 1e6


class SiteIds:
    """The ids of all sites, by row, and as the text format writes them.

    Parameters
    ----------
    names : sequence of N str
    projects : sequence of N str or None, optional
        The project of each site, which is a label of all its samples; None: it has none.
    """

    def __init__(self, names: Sequence[str], projects: Sequence[str | None] = ()) -> None:
        self.names = names
        self.escaped = [_escape(name).encode() for name in names]
        self.projects = {
            name: project for name, project in zip(names, projects, strict=False) if project
        }

    def labels(self, row: int, labels: Labels) -> Labels:
        """The labels of a sample, with the site's project where it has one."""
        project = self.projects.get(self.names[row])
        return (*labels, (_PROJECT, project)) if project else labels


class SiteSeries(Metric):
    """A metric whose samples belong to sites.

    Parameters
    ----------
    name, documentation, kind : str
        As the client library takes them; the name of a counter ends in ``_total``.
    sites : SiteIds
    """

    def __init__(self, name: str, documentation: str, kind: str, sites: SiteIds) -> None:
        self._sample_name = name
        self._sites = sites
        self._parts: list[_Part] = []
        super().__init__(name.removesuffix("_total"), documentation, kind)

    def add_known(self, values: FloatArray, *labels: tuple[str, str]) -> None:
        """A sample for each site that has the value; NaN leaves none.

        Parameters
        ----------
        values : float array, shape (sites,)
        labels : pairs of str
            Other labels, the same for all.
        """
        known = ~np.isnan(values)
        if known.all():
            self._parts.append(_Part(range(len(values)), (labels,), values))
        else:
            rows = np.flatnonzero(known)
            self._parts.append(_Part(rows.tolist(), (labels,), values[rows]))

    def add_rows(
        self, rows: Sequence[int], labels: Sequence[Labels], values: Sequence[float] | FloatArray
    ) -> None:
        """A sample for each of the rows, which stand for sites.

        Parameters
        ----------
        rows : sequence of N int
        labels : sequence of N pairs of str, or of a part of it
            A shorter one is repeated.
        values : sequence of N float
        """
        self._parts.append(_Part(rows, labels, np.asarray(values, dtype=np.float64)))

    @property
    def samples(self) -> list[Sample]:
        """The samples one by one, as the client library wants them."""
        return [
            Sample(
                self._sample_name,
                {_SITE: self._sites.names[row], **dict(self._sites.labels(row, labels))},
                value,
            )
            for rows, extra, values in self._parts
            for row, labels, value in zip(rows, cycle(extra), values.tolist(), strict=False)
        ]

    @samples.setter
    def samples(self, _: object) -> None:
        """The client library begins every metric with an empty list."""

    def lines(self) -> Iterator[bytes]:
        """The lines of all samples, in pieces."""
        ids = self._sites.escaped
        for rows, labels_of_rows, values in self._parts:
            extra = labels_of_rows
            count = len(rows)
            if not count:
                continue
            if self._sites.projects:
                pairs = zip(rows, cycle(extra), strict=False)
                extra = [self._sites.labels(row, labels) for row, labels in pairs]
            texts = [_label_texts(self._sample_name, labels) for labels in extra]
            turns = count // len(texts)
            pieces: list[bytes] = [b""] * (4 * count)
            pieces[0::4] = [before for before, _ in texts] * turns
            pieces[1::4] = ids if isinstance(rows, range) else [ids[row] for row in rows]
            pieces[2::4] = [after for _, after in texts] * turns
            pieces[3::4] = _go_floats(values)
            yield b"".join(pieces)


class Kept(SiteSeries):
    """Another metric, whose lines are made once."""

    def __init__(self, metric: SiteSeries) -> None:
        super().__init__(metric._sample_name, metric.documentation, metric.type, metric._sites)
        self._parts = metric._parts
        self._lines: bytes | None = None

    def lines(self) -> Iterator[bytes]:
        """See :meth:`SiteSeries.lines`."""
        if self._lines is None:
            self._lines = b"".join(super().lines())
        yield self._lines


class _Part(NamedTuple):
    """Samples with one value for each row; a shorter list of labels is repeated."""

    rows: Sequence[int]
    labels: Sequence[Labels]
    values: FloatArray


def render(registry: CollectorRegistry, encoder: Encoder) -> bytes:
    """What an encoder of the client library makes of a registry: the same bytes, sooner."""
    return b"".join(rendered(registry, encoder))


def rendered(registry: CollectorRegistry, encoder: Encoder) -> Iterator[bytes]:
    """The same bytes in pieces, each made when it is asked for."""
    # Each metric is written by the encoder, but for the samples of sites.
    for metric in registry.collect():
        if isinstance(metric, SiteSeries):
            described = Metric(metric.name, metric.documentation, metric.type)
            yield encoder(_Collected(described)).removesuffix(_END)
            yield from metric.lines()
        else:
            yield encoder(_Collected(metric)).removesuffix(_END)
    if encoder(_Collected()).endswith(_END):
        yield _END


class _Collected(Collector):
    """A collector of these metrics alone."""

    def __init__(self, *metrics: Metric) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


@functools.lru_cache(maxsize=16_384)
def _label_texts(name: str, labels: Labels) -> tuple[bytes, bytes]:
    """What stands before and after the id of the site; labels are in the order of their names."""
    texts = [(label, f'{label}="{_escape(value)}"') for label, value in sorted(labels)]
    before = "".join(f"{text}," for label, text in texts if label < _SITE)
    after = "".join(f",{text}" for label, text in texts if label > _SITE)
    return f'{name}{{{before}{_SITE}="'.encode(), f'"{after}}} '.encode()


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _go_floats(values: FloatArray) -> list[bytes]:
    """Values as the text format writes them, each with the end of its line."""
    values = np.ascontiguousarray(values)
    text = orjson.dumps(values, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    found = text.replace(b",", b"\n,").split(b",")
    found[-1] += b"\n"
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        usual = ((size >= _SMALLEST) & (size < _LARGEST)) | (values == 0)
    if not usual.all():
        for row in np.flatnonzero(~usual).tolist():
            written: str = floatToGoString(float(values[row]))  # type: ignore[no-untyped-call]
            found[row] = f"{written}\n".encode()
    return found
