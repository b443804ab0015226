"""Plans for a battery: when to charge, hold and discharge, by a linear program; and what they save.

A plan is never infeasible. Connection and battery powers are hard; the band of charge is soft, and
what cannot be held is said. Each slot has a mode and a reason. ``auto`` is plain self-consumption,
which the site does by itself: surplus charges, and the load discharges.

The program is solved by HiGHS [1]_. Binaries stand only in slots in which it would pay to charge
and discharge, or to import and export, at once, and only where these are few.

References
----------
.. [1] Q. Huangfu and J. A. J. Hall, "Parallelizing the dual revised simplex method",
   Mathematical Programming Computation 10, 2018, pp. 119-142.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

LEAST_SAVING = 0.01
"""Units of currency over the horizon. Less is within the program's tolerance, and no plan."""
LEAST_SAVING_SHARE = 0.002
UNSERVED_PRICE = 20.0
BELOW_FLOOR_PRICE = 5.0
SPILL_PRICE = 1e-4
EARLY_PRICE = 2e-6
"""Of two courses that cost the same, the one that charges and discharges earlier, as the site does
by itself: it needs no orders, and loses nothing where the forecast was wrong."""
CLOSE_KW = 0.02
MOST_BINARY_SLOTS = 4
"""Beyond, the relaxed program decides which way each of them goes: two linear programs take a tenth
of the time."""
_SECONDS = 2.0
_GAP = 1e-3


class Strategy(StrEnum):
    """What a plan aims at."""

    SELF_CONSUMPTION = "self-consumption"
    COST = "cost"
    CO2 = "co2"
    PEAK_SHAVING = "peak-shaving"
    BACKUP_RESERVE = "backup-reserve"


class Mode(StrEnum):
    """What the battery does in a slot."""

    AUTO = "auto"
    CHARGE = "charge"
    DISCHARGE = "discharge"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Battery:
    """A battery and its connection; powers in kW, energies in kWh, all at least 0.

    Attributes
    ----------
    capacity_kwh : float
    charge_kw, discharge_kw : float
    floor_kwh, ceiling_kwh : float
        The band of charge.
    charge_efficiency, discharge_efficiency : float
        0 to 1.
    wear_per_kwh : float
        Cost of a discharged kWh.
    import_kw, export_kw : float
        Limits of the connection; inf where none is known.
    """

    capacity_kwh: float
    charge_kw: float
    discharge_kw: float
    floor_kwh: float
    ceiling_kwh: float
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    wear_per_kwh: float = 0.03
    import_kw: float = np.inf
    export_kw: float = np.inf


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is expected of each slot; arrays of shape (N,).

    Attributes
    ----------
    hours : float
        Length of a slot.
    load_kw, pv_kw : float arrays
    buy, sell : float arrays
        Price per kWh from and to the grid.
    grams : float array or None
        CO2 of a kWh from the grid.
    """

    hours: float
    load_kw: FloatArray
    pv_kw: FloatArray
    buy: FloatArray
    sell: FloatArray
    grams: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """What happens over the slots; arrays of shape (N,), kW but for ``stored_kwh`` (at the end).

    ``battery_kw`` is positive when charging. ``unserved_kw`` is load beyond what the connection
    and the battery can give, ``spilled_kw`` PV beyond what they can take.
    """

    battery_kw: FloatArray
    import_kw: FloatArray
    export_kw: FloatArray
    stored_kwh: FloatArray
    unserved_kw: FloatArray
    spilled_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Bill:
    """What a course costs over its slots, in currency; CO2 in kg.

    ``stored`` is what the energy left in the battery is worth: a course that ends full is not worse
    for that. ``total`` is what courses are compared by.
    """

    energy: float
    wear: float
    stored: float
    co2_kg: float
    peak_kw: float
    unserved_kwh: float

    @property
    def total(self) -> float:
        """Energy and wear, less what is stored in the end."""
        return self.energy + self.wear - self.stored


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan, and what it is expected to save.

    Attributes
    ----------
    modes : tuple of Mode, one for each slot
    power_kw : float array, shape (N,)
        Battery power that is wanted, positive when charging; 0 where the mode is auto or hold.
    reasons : tuple of str
    course : Course
        What is expected to happen.
    bill, plain : Bill
        Of the plan, and of plain self-consumption.
    note : str
        Why there is no better plan, or what cannot be held; may be empty.
    """

    strategy: Strategy
    modes: tuple[Mode, ...]
    power_kw: FloatArray
    reasons: tuple[str, ...]
    course: Course
    bill: Bill
    plain: Bill
    note: str = ""

    @property
    def saving(self) -> float:
        """Against plain self-consumption, in currency, wear and stored energy included."""
        return self.plain.total - self.bill.total


def run(
    battery: Battery,
    ahead: Outlook,
    stored_kwh: float,
    modes: tuple[Mode, ...] | None = None,
    power_kw: FloatArray | None = None,
) -> Course:
    """Play slots through: the one simulator of plans, of what would have been, and of ceilings.

    Parameters
    ----------
    battery : Battery
    ahead : Outlook
        Also what really came.
    stored_kwh : float
        At the beginning.
    modes, power_kw : optional
        As in a :class:`Plan`; without them plain self-consumption.
    """
    count = len(ahead.load_kw)
    rows = np.zeros((6, count))
    stored = min(max(stored_kwh, 0.0), battery.capacity_kwh)
    b, h = battery, ahead.hours
    for n, (load, pv) in enumerate(zip(ahead.load_kw.tolist(), ahead.pv_kw.tolist(), strict=True)):
        mode = Mode.AUTO if modes is None else modes[n]
        if mode is Mode.AUTO or power_kw is None:
            wanted = pv - load if mode is Mode.AUTO else 0.0
        else:
            wanted = float(power_kw[n])
        net = load - pv
        # The connection comes first: what it cannot carry is asked of the battery, or not given it.
        wanted = min(max(wanted, -b.export_kw - net), b.import_kw - net)
        room = max(b.ceiling_kwh - stored, 0.0) / (b.charge_efficiency * h)
        left = max(stored - b.floor_kwh, 0.0) * b.discharge_efficiency / h
        power = min(max(wanted, -b.discharge_kw, -left), b.charge_kw, room)
        stored += (
            power * h * b.charge_efficiency if power > 0 else power * h / b.discharge_efficiency
        )
        grid = net + power
        bought, sold = min(max(grid, 0.0), b.import_kw), min(max(-grid, 0.0), b.export_kw)
        rows[:, n] = power, bought, sold, stored, max(grid - bought, 0.0), max(-grid - sold, 0.0)
    return Course(*rows)


def bill_of(battery: Battery, ahead: Outlook, course: Course, stored_kwh: float) -> Bill:
    """What a course costs; ``stored_kwh`` is what the battery held at the beginning."""
    h = ahead.hours
    energy = float((course.import_kw * ahead.buy - course.export_kw * ahead.sell).sum() * h)
    discharged = float(np.maximum(-course.battery_kw, 0).sum() * h)
    end = float(course.stored_kwh[-1]) if len(course.stored_kwh) else stored_kwh
    grams = 0.0 if ahead.grams is None else float((course.import_kw * ahead.grams).sum() * h)
    return Bill(
        energy=energy,
        wear=battery.wear_per_kwh * discharged,
        stored=value_of_stored(battery, ahead) * (end - stored_kwh),
        co2_kg=grams / 1000.0,
        peak_kw=float(course.import_kw.max(initial=0.0)),
        unserved_kwh=float(course.unserved_kw.sum() * h),
    )


def value_of_stored(battery: Battery, ahead: Outlook) -> float:
    """Currency for each kWh in the battery at the end: what it replaces at the mean price."""
    mean = float(ahead.buy.mean()) if len(ahead.buy) else 0.0
    return max(battery.discharge_efficiency * (mean - battery.wear_per_kwh), 0.0)


@dataclass(frozen=True, slots=True)
class Goal:
    """What the program minimises besides energy and wear.

    Attributes
    ----------
    strategy : Strategy
    reserve_kwh : float
        Kept in the battery where it can be.
    peak_price : float
        Currency for each kW of the highest import.
    peak_kw : float
        Import that has been reached already and costs nothing more.
    co2_price : float
        Currency for each kg, with the strategy co2; large beside the prices of energy.
    """

    strategy: Strategy = Strategy.COST
    reserve_kwh: float = 0.0
    peak_price: float = 0.0
    peak_kw: float = 0.0
    co2_price: float = 5.0


@functools.lru_cache(maxsize=16)
def _matrix(count: int, hours: float, charge: float, discharge: float) -> Any:
    """Rows of the program: balance, storage, floor, peak. Columns: charge, discharge, import,
    export, spill, stored, below the floor, unserved (N each), and the peak."""
    from scipy import sparse

    one, none = sparse.identity(count, format="csr"), sparse.csr_matrix((count, count))
    step = one - sparse.eye(count, k=-1, format="csr")
    zero = sparse.csr_matrix((count, 1))
    rows = [
        [-one, one, one, -one, -one, none, none, one, zero],
        [-hours * charge * one, hours / discharge * one, *[none] * 3, step, *[none] * 2, zero],
        [*[none] * 5, one, one, none, zero],
        [*[none] * 2, one, *[none] * 5, sparse.csr_matrix(-np.ones((count, 1)))],
    ]
    return sparse.bmat(rows, format="csr")


def optimise(battery: Battery, ahead: Outlook, stored_kwh: float, goal: Goal) -> FloatArray | None:
    """Battery power of each slot that is best for a goal, kW, positive when charging.

    Returns
    -------
    float array, shape (N,), or None
        None where the solver found nothing in its time.
    """
    b, n, h = battery, len(ahead.load_kw), ahead.hours
    buy, sell = ahead.buy, ahead.sell
    if goal.strategy is Strategy.CO2 and ahead.grams is not None:
        buy = buy + goal.co2_price * ahead.grams / 1000.0
    floor = min(max(b.floor_kwh, goal.reserve_kwh), b.ceiling_kwh)
    worth = value_of_stored(b, replace(ahead, buy=buy))
    later = 1.0 + np.arange(n)
    stored_cost = np.zeros(n)
    stored_cost[-1] = -worth
    peak = goal.peak_price if goal.strategy is Strategy.PEAK_SHAVING else 0.0
    cost = np.concatenate(
        (
            EARLY_PRICE * later,
            b.wear_per_kwh * h + EARLY_PRICE * later,
            buy * h,
            -sell * h,
            np.full(n, SPILL_PRICE * h),
            stored_cost,
            np.full(n, BELOW_FLOOR_PRICE * h),
            np.full(n, UNSERVED_PRICE * h),
            [peak],
        )
    )
    most = 1e6
    net = ahead.load_kw - ahead.pv_kw
    # As tight as can be: without it the relaxation of the binaries says little.
    import_kw = np.minimum(np.minimum(b.import_kw, most), np.maximum(net, 0) + b.charge_kw)
    export_kw = np.minimum(np.minimum(b.export_kw, most), np.maximum(-net, 0) + b.discharge_kw)
    spill_kw = np.maximum(-net - np.minimum(b.export_kw, most), 0.0)
    ceiling = max(b.ceiling_kwh, stored_kwh)
    upper = np.concatenate(
        (
            np.full(n, b.charge_kw),
            np.full(n, b.discharge_kw),
            import_kw,
            export_kw,
            spill_kw,
            np.full(n, ceiling),
            np.full(n, ceiling),
            np.full(n, most),
            [most],
        )
    )
    start = np.zeros(n)
    start[0] = stored_kwh
    low = np.concatenate((net, start, np.full(n, floor), np.full(n, -np.inf)))
    high = np.concatenate((net, start, np.full(n, np.inf), np.full(n, goal.peak_kw)))
    rows = _matrix(n, h, b.charge_efficiency, b.discharge_efficiency)
    odd = np.flatnonzero((buy < 0) | (sell < 0) | (sell > buy))
    program = _Program(rows, low, high, cost, upper)
    found = program.exactly(n, odd) if 0 < odd.size <= MOST_BINARY_SLOTS else program.solve()
    if found is not None and odd.size > MOST_BINARY_SLOTS:
        found = program.one_way(n, odd, found, net, np.maximum(ahead.pv_kw, 0.0), h).solve()
    if found is None:
        return None
    return np.asarray(found[:n] - found[n : 2 * n], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Program:
    """A linear program: cost, rows between two limits, columns from 0 to an upper limit."""

    rows: Any
    low: FloatArray
    high: FloatArray
    cost: FloatArray
    upper: FloatArray

    def solve(self) -> FloatArray | None:
        """The best columns; None where none are found in the time allowed."""
        from scipy.optimize import linprog

        equal = self.low == self.high
        above, below = ~equal & np.isfinite(self.low), ~equal & np.isfinite(self.high)
        found = linprog(
            self.cost,
            A_ub=_stacked((-self.rows[above], self.rows[below])),
            b_ub=np.concatenate((-self.low[above], self.high[below])),
            A_eq=self.rows[equal],
            b_eq=self.low[equal],
            bounds=np.column_stack((np.zeros(len(self.upper)), self.upper)),
            method="highs-ds",
            options={"time_limit": _SECONDS},
        )
        return None if found.x is None else np.asarray(found.x)

    def exactly(self, n: int, odd: NDArray[np.intp]) -> FloatArray | None:
        """The best columns of which none of some slots goes both ways."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        extra, top = _exclusive(n, odd, self.upper)
        more = 2 * odd.size
        found = milp(
            np.append(self.cost, np.zeros(more)),
            integrality=np.append(np.zeros(len(self.cost)), np.ones(more)),
            bounds=Bounds(0.0, np.append(self.upper, np.ones(more))),
            constraints=[
                LinearConstraint(_widened(self.rows, more), self.low, self.high),
                LinearConstraint(extra, -np.inf, top),
            ],
            options={"time_limit": _SECONDS, "mip_rel_gap": _GAP},
        )
        return None if found.x is None else np.asarray(found.x)

    def one_way(
        self,
        n: int,
        odd: NDArray[np.intp],
        found: FloatArray,
        net: FloatArray,
        pv_kw: FloatArray,
        hours: float,
    ) -> _Program:
        """The program in which each of some slots goes only the way that it mostly went."""
        upper, cost = self.upper.copy(), self.cost.copy()
        charges = found[odd] >= found[n + odd]
        battery = found[odd] - found[n + odd]
        imports = net[odd] + battery >= 0
        upper[n + odd[charges]] = 0.0
        upper[odd[~charges]] = 0.0
        upper[3 * n + odd[imports]] = 0.0
        upper[2 * n + odd[~imports]] = 0.0
        # What that leaves without a way out is spilled, at a price that nothing is worth.
        upper[4 * n + odd] = pv_kw[odd]
        cost[4 * n + odd] = BELOW_FLOOR_PRICE * hours
        return replace(self, upper=upper, cost=cost)


def _stacked(parts: tuple[Any, ...]) -> Any:
    from scipy import sparse

    return sparse.vstack(parts, format="csr")


def _widened(rows: Any, columns: int) -> Any:
    from scipy import sparse

    return sparse.hstack((rows, sparse.csr_matrix((rows.shape[0], columns))), format="csr")


def _exclusive(n: int, odd: NDArray[np.intp], upper: FloatArray) -> tuple[Any, FloatArray]:
    """Rows that forbid charge with discharge, and import with export, in some slots."""
    from scipy import sparse

    count = odd.size
    row = np.arange(count)
    parts, tops = [], []
    for place, (column, sign) in enumerate(((0, -1), (1, 1), (2, -1), (3, 1))):
        most = upper[column * n + odd]
        binary = 8 * n + 1 + (place // 2) * count + row
        data = np.concatenate((np.ones(count), sign * most))
        where = (np.tile(row, 2), np.concatenate((column * n + odd, binary)))
        parts.append(sparse.csr_matrix((data, where), shape=(count, 8 * n + 1 + 2 * count)))
        tops.append(np.zeros(count) if sign < 0 else most)
    return sparse.vstack(parts, format="csr"), np.concatenate(tops)
