"""Profiles of all accounts within a fixed room, and what each request adds to one."""

from __future__ import annotations

from array import array
from collections import OrderedDict, deque
from math import exp, frexp
from typing import Final

from gateway_guard.signals.geo_velocity import AIRLINER, MASK32, country_key, placed, speed
from gateway_guard.signals.machine_timing import GAPS_KEPT
from gateway_guard.signals.profile import (
    C_LOG_C,
    CELLS,
    CREDIT_AT,
    FADE,
    FILLINGS_AT,
    FRAGMENTS,
    GAP_BINS,
    GAPS_AT,
    OLD_ONES_AT,
    ONES_AT,
    REQUESTS_AT,
    SAMPLE,
    SKETCH_BYTES,
    SLOT_BYTES,
    SLOT_MASK,
    SLOTS,
    SYSTEM,
    TAG_MASK,
    TOKEN_UNIT,
    TOKENS_AT,
    VISITED,
    VOLUME_HOURS,
    Profile,
)
from gateway_guard.signals.reasoning_elicit import strength
from gateway_guard.signals.score import HOUR, MINUTE
from gateway_guard.types import Facts, Held, NetworkFacts, PromptShape, Request, RoleShape, Usage

WEEK: Final = (1 << 168) - 1
#: Weight of a new prompt in `Profile.repeats`.
SMOOTHING: Final = 1.0 / 16.0
#: Bin 0 ends at 2**-FIRST_BIN seconds (16 ms).
FIRST_BIN: Final = 6
#: Requests after which an account is established; see `Profiles`.
ESTABLISHED: Final = 4

_EMPTY_SLOT: Final = bytes(SLOT_BYTES)
_NO_FILLINGS: Final = bytes(SLOTS * SLOT_BYTES)
_NO_ONES: Final = bytes(SLOTS)
_HALVE: Final = bytes(value >> 1 for value in range(256))
_BIT: Final = tuple(1 << (k & 7) for k in range(SLOT_BYTES * 8))
FULL: Final = 2**16 - 1


class Profiles:
    """Profiles by account, at most `capacity` of them: a segmented LRU (Karedla et al. 1994).

    New accounts enter a first segment of a quarter of the room; after `ESTABLISHED` requests an
    account moves to the second. Each segment drops the account idle longest. A flood of made-up
    accounts therefore replaces made-up accounts; to make the guard forget one that is at work,
    three quarters of `capacity` accounts must each send `ESTABLISHED` requests between two
    requests of its own.

    Args:
        capacity: accounts remembered, >= 1.

    Raises:
        ValueError: `capacity` is below 1.
    """

    __slots__ = ("_erased", "_established", "_fresh", "_room", "capacity", "evicted")

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity!r}")
        self.capacity = capacity
        self.evicted = 0
        self._room = capacity * 3 // 4
        self._fresh: OrderedDict[str, Profile] = OrderedDict()
        self._established: OrderedDict[str, Profile] = OrderedDict()
        #: Those to be forgotten, before anybody asks again.
        self._erased: deque[str] = deque()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._established)

    def __contains__(self, account: object) -> bool:
        return account in self._established or account in self._fresh

    def get(self, account: str) -> Profile:
        """The account's profile, a new one when there is none; counts as use."""
        if self._erased:
            self._forget()
        profile = self._established.get(account)
        if profile is not None:
            self._established.move_to_end(account)
            return profile
        fresh = self._fresh
        profile = fresh.get(account)
        if profile is None:
            profile = Profile(held=Held())
            fresh[account] = profile
            if len(fresh) + len(self._established) > self.capacity:
                self._drop()
            return profile
        if profile.events >= ESTABLISHED and self._room:
            del fresh[account]
            self._established[account] = profile
            if len(self._established) > self._room:
                # Back to the young end of the first segment: a last chance.
                name, oldest = self._established.popitem(last=False)
                fresh[name] = oldest
        else:
            fresh.move_to_end(account)
        return profile

    def forget(self, account: str) -> None:
        """Have no profile of `account` any more, from the next one that is asked for on; from any
        thread."""
        self._erased.append(account)

    def _forget(self) -> None:
        while self._erased:
            account = self._erased.popleft()
            self._fresh.pop(account, None)
            self._established.pop(account, None)

    def set_back(self, seconds: float) -> None:
        """The clock was set back by `seconds`: every account did all it did so much earlier.

        Otherwise all would seem to ask without a pause until it is as late again. When a place was
        last seen stays as it is, which counts it for so much longer.
        """
        for profiles in (self._fresh, self._established):
            for profile in profiles.values():
                profile.last -= seconds
                profile.placed -= seconds
                profile.held.at -= seconds
                if profile.events:
                    profile.hour = int(profile.last // HOUR)

    def _drop(self) -> None:
        self._fresh.popitem(last=False)
        self.evicted += 1


def observe(profile: Profile, request: Request, facts: Facts) -> None:
    """Add a request to its account's memory. Call once per request, after it was decided.

    A request older than the newest one counts, but moves no clock and leaves no interval.
    """
    at = request.at
    last = profile.last
    profile.events += 1
    if at > last:
        if profile.events > 1:
            gap = at - last
            fade = exp(-gap * FADE)
            profile.prompts *= fade
            if profile.elicited:
                profile.elicited *= fade
            if profile.leaps:
                profile.leaps *= fade
            _gap(profile, gap)
        profile.last = at
        hour = int(at // HOUR)
        if hour > profile.hour:
            _roll(profile, hour)
    else:
        _gap(profile, 0.0)
    profile.requests += 1
    network = facts.network
    if network.country is not None:
        if (
            network.country == profile.country and network.asn == profile.asn
            and profile.visited is None and not network.flags and network.known
        ):  # fmt: skip
            # Where it always is: nothing to reckon.
            if at > profile.placed:
                profile.placed = at
        else:
            _place(profile, network, at)
    prompt = request.prompt
    if prompt is not None:
        profile.prompts += 1.0
        if prompt.elicitation or prompt.n > 1 or prompt.logprobs:
            profile.elicited += strength(prompt.elicitation, prompt.n, prompt.logprobs)
        if prompt.shingles:
            _fragments(profile, prompt.shingles)
        _templates(profile, prompt)


def observe_usage(profile: Profile, request: Request, usage: Usage) -> None:
    """Add what an exchange cost, once, when it is over. What nobody counted stays out, but for the
    input, whose estimate stands in."""
    tokens = usage.input_tokens
    if tokens is None:
        tokens = (
            0 if request.prompt is None or usage.status is None else request.prompt.input_tokens
        )
    profile.tokens += tokens + (usage.output_tokens or 0)


def _sketch(profile: Profile) -> bytearray:
    profile.sketch = bytearray(SKETCH_BYTES)
    return profile.sketch


def _cells(profile: Profile) -> array[int]:
    profile.cells = array("H", bytes(2 * CELLS))
    return profile.cells


def _gap(profile: Profile, gap: float) -> None:
    """Count an inter-arrival time; `gap_sum` follows by difference, so nothing is ever summed anew
    but when the bins are halved."""
    sketch = profile.sketch or _sketch(profile)
    octave = frexp(gap)[1] + FIRST_BIN if gap > 0.0 else 0
    where = GAPS_AT + (0 if octave < 0 else octave if octave < GAP_BINS else GAP_BINS - 1)
    count = sketch[where]
    sketch[where] = count + 1
    profile.gap_sum += C_LOG_C[count + 1] - C_LOG_C[count]
    profile.gaps += 1
    if profile.gaps >= GAPS_KEPT:
        bins = bytes(sketch[GAPS_AT : GAPS_AT + GAP_BINS].translate(_HALVE))
        sketch[GAPS_AT : GAPS_AT + GAP_BINS] = bins
        profile.gaps = sum(bins)
        profile.gap_sum = sum([C_LOG_C[count] for count in bins])


def _roll(profile: Profile, hour: int) -> None:
    """Begin a new hour: close the old one's volume, age the templates."""
    passed = hour - profile.hour
    if profile.events > 1:
        _volume(profile)
        profile.hours = (profile.hours << passed | 1) & WEEK if passed < 168 else 1
    else:
        profile.hours = 1
    profile.hour = hour
    profile.requests = 0
    profile.tokens = 0.0
    sketch = profile.sketch
    if sketch is not None:
        sketch[OLD_ONES_AT : OLD_ONES_AT + SLOTS] = (
            sketch[ONES_AT : ONES_AT + SLOTS] if passed == 1 else _NO_ONES
        )
        sketch[ONES_AT : ONES_AT + SLOTS] = _NO_ONES
        sketch[FILLINGS_AT : FILLINGS_AT + SLOTS * SLOT_BYTES] = _NO_FILLINGS
        credit = sketch[CREDIT_AT : CREDIT_AT + SLOTS]
        sketch[CREDIT_AT : CREDIT_AT + SLOTS] = credit.translate(_HALVE)


def _volume(profile: Profile) -> None:
    cells = profile.cells or _cells(profile)
    where = profile.known % VOLUME_HOURS
    cells[REQUESTS_AT + where] = min(profile.requests, FULL)
    cells[TOKENS_AT + where] = min(int(profile.tokens / TOKEN_UNIT), FULL)
    profile.known += 1
    kept = min(profile.known, VOLUME_HOURS)
    profile.usual_requests = _median(cells[REQUESTS_AT : REQUESTS_AT + kept])
    profile.usual_tokens = _median(cells[TOKENS_AT : TOKENS_AT + kept]) * TOKEN_UNIT


def _median(values: array[int]) -> float:
    ranked = sorted(values)
    half = len(ranked) // 2
    return float(ranked[half]) if len(ranked) & 1 else (ranked[half - 1] + ranked[half]) / 2.0


def _place(profile: Profile, network: NetworkFacts, at: float) -> None:
    country = network.country
    if country is None or not placed(network):
        return
    asn = network.asn or profile.asn or 0
    visited = profile.visited
    if country != profile.country or asn != profile.asn:
        before = profile.country
        if before is not None:
            if speed(profile, country, at) > AIRLINER:
                profile.leaps += 1.0
            if visited is None:
                visited = profile.visited = array("Q", bytes(16 * VISITED))
                _visit(visited, 0, country_key(before), profile.placed)
                _visit(visited, VISITED, profile.asn or 0, profile.placed)
        profile.country = country
        profile.asn = asn
    if at > profile.placed:
        profile.placed = at
    if visited is not None:
        _visit(visited, 0, country_key(country), at)
        _visit(visited, VISITED, asn, at)


def _visit(visited: array[int], start: int, key: int, at: float) -> None:
    """Note a place in its half of `visited`, in the room of the one not seen for longest."""
    if not key:
        return
    key &= MASK32
    oldest = start
    for where in range(start, start + VISITED):
        entry = visited[where]
        if entry >> 32 == key:
            oldest = where
            break
        if entry & MASK32 < visited[oldest] & MASK32:
            oldest = where
    visited[oldest] = key << 32 | min(max(int(at // MINUTE), 0), MASK32)


def _fragments(profile: Profile, shingles: tuple[int, ...]) -> None:
    sketch = profile.sketch or _sketch(profile)
    sample = shingles
    if len(shingles) > SAMPLE:
        sample = tuple([one for one in shingles if not one & _EVERY_FOURTH])[:SAMPLE]
        if not sample:
            return
    known = 0
    for one in sample:
        where = one >> 20 & _PLACE
        tag = one >> 32 & 255 or 1
        if sketch[where] == tag:
            known += 1
        else:
            sketch[where] = tag
    seen = profile.fragments
    if seen < 255:
        profile.fragments = seen + 1
    weight = SMOOTHING if seen >= 15 else 1.0 / (seen + 1)
    profile.repeats += (known / len(sample) - profile.repeats) * weight


#: Bits of a shingle, from the twentieth, that choose its place in the sketch.
_PLACE: Final = FRAGMENTS - 1
#: Bits of a shingle that choose the sampled quarter; not those that choose its place in the sketch.
_EVERY_FOURTH: Final = 3 << 50


def _templates(profile: Profile, prompt: PromptShape) -> None:
    tags = profile.cells or _cells(profile)
    sketch = profile.sketch or _sketch(profile)
    for role in prompt.roles:
        if role.role == "system":
            whole = hash((role.head, role.tail, role.skeleton, role.chars))
            if whole != profile.system:
                profile.system = whole
                _fill(tags, sketch, role, SYSTEM, whole & 127)
        else:
            whole = hash((role.head, role.tail, role.skeleton, role.chars, prompt.shingles))
            _fill(tags, sketch, role, 0, whole & 127)


def _fill(tags: array[int], sketch: bytearray, role: RoleShape, salt: int, bit: int) -> None:
    """Note one filling under the three keys of a role.

    Each key has one slot. Who holds it earns credit by every use and pays one for every other key
    that wants the slot; at none the slot changes hands (after HeavyKeeper, Gong et al. 2018).
    """
    mask = _BIT[bit]
    byte = FILLINGS_AT + (bit >> 3)
    for digest in (role.head, role.tail, role.skeleton):
        if not digest:
            continue
        key = digest ^ salt
        slot = key & SLOT_MASK
        credit = sketch[CREDIT_AT + slot]
        tag = key >> 32 & TAG_MASK or 1
        if tags[slot] != tag:
            # Head and tail of one prompt may want the same slot; handing over at 1 would let the
            # two take turns for ever and neither ever be seen.
            if credit > 0:
                sketch[CREDIT_AT + slot] = credit - 1
                continue
            tags[slot] = tag
            start = FILLINGS_AT + slot * SLOT_BYTES
            sketch[start : start + SLOT_BYTES] = _EMPTY_SLOT
            sketch[ONES_AT + slot] = sketch[OLD_ONES_AT + slot] = credit = 0
        if credit < 255:
            sketch[CREDIT_AT + slot] = credit + 1
        where = byte + slot * SLOT_BYTES
        filled = sketch[where]
        if not filled & mask:
            sketch[where] = filled | mask
            sketch[ONES_AT + slot] += 1
