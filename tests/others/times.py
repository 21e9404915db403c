"""When accounts send: people in sessions, machines evenly, by the clock or in batches."""

from __future__ import annotations

import math
import random

from tests.others.places import DAY, HOUR, weekend


def _wakefulness(hour: float) -> float:
    """How likely somebody is active at a local hour, relative to mid-afternoon."""
    if not 7 <= hour < 23:
        return 0.03
    return 0.05 + max(0.0, math.sin((hour - 7) / 16 * math.pi))


class Times:
    """Times of one world, Unix seconds, sorted and within it.

    Attributes:
        start, end: when the traffic begins and ends.
    """

    def __init__(self, chance: random.Random, start: float, end: float) -> None:
        self._chance, self.start, self.end = chance, start, end

    def _within(self, times: list[float]) -> list[float]:
        return sorted(at for at in times if self.start <= at < self.end)

    def sessions(
        self,
        daily: float = 1.2,
        *,
        zone: float | None = None,
        weekends: float = 1.0,
        hours: tuple[float, float] | None = None,
    ) -> list[float]:
        """A person: a few conversations a day, some requests each, a minute or two apart.

        `daily`: conversations a day, about; `zone`: hours east of UTC, anywhere when None;
        `weekends`: what becomes of `daily` then; `hours`: only between these local ones.
        """
        chance = self._chance
        east = chance.uniform(-8, 9) if zone is None else zone
        times: list[float] = []
        day = self.start - self.start % DAY
        while day < self.end:
            rate = daily * (weekends if weekend(day) else 1.0)
            for _ in range(min(12, int(chance.expovariate(1 / rate) + chance.random() * 0.6))):
                at = day + self._hour(east, hours) * HOUR
                for _ in range(min(25, 1 + int(chance.expovariate(1 / 2.2)))):
                    times.append(at)
                    at += chance.lognormvariate(4.4, 0.9)
            day += DAY
        return self._within(times)

    def _hour(self, zone: float, hours: tuple[float, float] | None) -> float:
        """An hour of the day, UTC, at which somebody in `zone` is active."""
        if hours is not None:
            return (self._chance.uniform(*hours) - zone) % 24
        while True:
            hour = self._chance.uniform(0, 24)
            if self._chance.random() < _wakefulness((hour + zone) % 24):
                return hour

    def office(self, daily: float = 3.0, zone: float | None = None) -> list[float]:
        """A person at work: from 8 to 18, hardly at weekends."""
        return self.sessions(daily, zone=zone, weekends=0.1, hours=(8, 18))

    def steady(self, daily: float) -> list[float]:
        """Round the clock at random, `daily` requests a day (Poisson)."""
        times = []
        at = self.start + self._chance.expovariate(daily / DAY)
        while at < self.end:
            times.append(at)
            at += self._chance.expovariate(daily / DAY)
        return times

    def regular(self, daily: float, *, jitter: float = 60.0, calls: int = 1) -> list[float]:
        """By the clock, `daily` runs a day, each up to `jitter` seconds late, round the clock.

        `calls`: requests a run makes, some seconds apart, as an agent does.
        """
        chance = self._chance
        times: list[float] = []
        run = self.start + chance.uniform(0, DAY / daily)
        while run < self.end:
            at = run + chance.uniform(0, jitter)
            for _ in range(calls if calls == 1 else chance.randint(1, 2 * calls - 1)):
                times.append(at)
                at += chance.lognormvariate(2.5, 0.8)
            run += DAY / daily
        return self._within(times)

    def batches(self, count: float, hours: float, hour: float | None = None) -> list[float]:
        """About `count` requests a day, all within `hours` of one hour of the day, UTC."""
        chance = self._chance
        begin = chance.uniform(0, 24) if hour is None else hour
        times: list[float] = []
        day = self.start - self.start % DAY + begin * HOUR
        while day < self.end:
            some = max(1, int(chance.gauss(count, count * 0.25)))
            times += [day + chance.uniform(0, hours * HOUR) for _ in range(some)]
            day += DAY
        return self._within(times)

    def event(self, begin: float, hours: float, count: int) -> list[float]:
        """`count` requests at an event of `hours`, in sittings, with a night's sleep each night.

        It begins between 9 and 18 local time; everybody sleeps five to eight hours from a bedtime
        of their own, between 22:30 and 3:30.
        """
        chance = self._chance
        zone = (chance.uniform(9, 18) - begin / HOUR) % 24
        bed, asleep = chance.uniform(22.5, 27.5), chance.uniform(5, 8)
        times: list[float] = []
        while len(times) < count:
            at = begin + chance.uniform(0, hours * HOUR)
            if (at / HOUR + zone - bed) % 24 < asleep:
                continue
            for _ in range(min(count - len(times), chance.randint(2, 6))):
                times.append(at)
                at += chance.lognormvariate(5.5, 0.8)
        return self._within(times)
