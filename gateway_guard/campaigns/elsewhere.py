"""How common things are among the accounts that belong to no campaign."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway_guard.campaigns.membership import Outside, Signature
from gateway_guard.campaigns.memory import Memory
from gateway_guard.campaigns.steps import Steps, finish
from gateway_guard.campaigns.ties import Base
from gateway_guard.campaigns.traces import Trace

#: What all members have in common is counted anew when this share of them left.
_STALE: Final = 0.05
#: What it costs to count one account, as `Memory.effort`.
_COUNTED: Final = 10.0


class Elsewhere:
    """Counts of everything remembered, less those of the members of campaigns.

    Attributes:
        everyone: what all members of all campaigns have in common.
        left: members counted in `everyone` that are members no longer.
    """

    def __init__(self, memory: Memory, members: Iterable[int]) -> None:
        """`members`: account numbers of all members, whenever they are asked for."""
        self.everyone = Signature()
        self.left = 0
        self._memory = memory
        self._members = members

    def recount(self) -> None:
        """Count anew what all members have in common."""
        finish(self.recounted())

    def recounted(self) -> Steps[None]:
        """The same in steps, while nobody joins or leaves."""
        everyone = Signature()
        for number in list(self._members):
            everyone.add(self._memory.traces[number])
            self._memory.effort += _COUNTED
            yield
        self.everyone = everyone
        self.left = 0

    def base(self, besides: Signature | None = None) -> Base:
        """How common traits are among the accounts in no campaign, nor counted in `besides`."""
        memory, inside = self._memory, [self.everyone]
        if besides is not None:
            inside.append(besides)
        return Base(
            [memory.paces[i] - max(of.paces[i] for of in inside) for i in (0, 1)],
            [memory.releases.moves[i] - max(of.moves[i] for of in inside) for i in (0, 1)],
        )

    def outside(self, trace: Trace, signature: Signature, base: Base) -> Outside:
        """How common what `trace` has is among the accounts in no campaign nor in `signature`.

        `base` is that of `signature`, worked out once for all who are held against it.
        """
        if self.left > _STALE * self.everyone.size:
            self.recount()
        memory, everyone = self._memory, self.everyone

        def rest(count: int, *counted: int) -> int:
            return max(count - max(counted), 0)

        payments: dict[str, int] = {}
        if payment := memory.paid_with(trace):
            posting = memory.payments.get(payment)
            payments[payment] = rest(
                posting.count if posting is not None else 0,
                everyone.payments[payment], signature.payments[payment],
            )  # fmt: skip
        subnets = {}
        for subnet in trace.subnets:
            posting = memory.subnets.get(subnet)
            subnets[subnet] = rest(
                posting.count if posting is not None else 0,
                everyone.subnets[subnet], signature.subnets[subnet],
            )  # fmt: skip
        keys = {}
        for key in trace.shared:
            shared = memory.templates.shared.get(key)
            first = memory.traces.get(shared.first) if shared is not None else None
            if first is not None and first.organisation == trace.organisation:
                # Whoever used a template first is not the one who imitates it.
                continue
            keys[key] = rest(
                shared.count if shared is not None else 0, everyone.keys[key], signature.keys[key]
            )
        created = trace.created_at
        near = memory.signed_up_at.near(created) if created else 0
        shown = memory.clients.get(trace.client) if trace.client else None
        return Outside(
            size=max(len(memory.traces) - max(everyone.size, signature.size), 1),
            payments=payments,
            subnets=subnets,
            keys=keys,
            near=rest(near, everyone.near(created), signature.near(created)) if created else 0,
            clients=rest(
                shown.count if shown is not None else 0,
                everyone.clients[trace.client],
                signature.clients[trace.client],
            ),
            even=base.even,
        )
