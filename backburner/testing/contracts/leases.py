"""What `LeaseStore` promises."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from backburner.model.clock import SECOND
from backburner.ports.jobs import Keep
from backburner.ports.leases import Holder, LeaseAnswer, Leases

if TYPE_CHECKING:
    from backburner.ports.backend import Backend
    from backburner.testing.harness import Harness

__all__ = ["LeasesContract"]

TTL = 30 * SECOND


async def _take(backend: Backend, holder: str = "a", name: str = "x", *, ttl: int = TTL, shared: bool = False) -> int:
    """Take a lease that nobody else holds; return its token."""
    answer = await backend.leases.acquire(name, holder, ttl, shared=shared)
    assert answer.token is not None
    assert answer.until is None
    return answer.token


async def _refused(backend: Backend, holder: str = "b", name: str = "x", *, shared: bool = False) -> int:
    """Ask for a lease that others hold; return when theirs ends."""
    answer = await backend.leases.acquire(name, holder, TTL, shared=shared)
    assert answer.token is None
    assert answer.until is not None
    return answer.until


async def _holders(backend: Backend, name: str = "x") -> list[Holder]:
    """Return who holds a lease, first come first."""
    found = await backend.leases.holders([name])
    return sorted(found[name].holders, key=lambda holder: holder.token) if found else []


@pytest.mark.anyio
class LeasesContract:
    """Named leases, for as long as they were taken, by the store's own clock."""

    async def test_taken(self, harness: Harness) -> None:
        """A lease that nobody holds is taken, and seen so on every connection."""
        now = harness.clock.now()
        answer = await harness.backend.leases.acquire("ünï/x", "a-1-\N{SNOWMAN}", TTL, shared=False)
        assert answer.token is not None
        assert answer == LeaseAnswer(now=now, token=answer.token)
        held = Holder(holder="a-1-\N{SNOWMAN}", token=answer.token, shared=False, until=now + TTL)
        for backend in (harness.backend, await harness.second()):
            assert await backend.leases.holders(["ünï/x"]) == {"ünï/x": Leases(now, (held,))}

    async def test_one_at_a_time(self, harness: Harness) -> None:
        """While one holds it, another is refused, shared or not, told when that lease ends, and changes nothing."""
        await _take(harness.backend)
        before = await _holders(harness.backend)
        harness.clock.move(1)
        for shared in (False, True):
            answer = await harness.backend.leases.acquire("x", "b", 90 * SECOND, shared=shared)
            assert answer == LeaseAnswer(now=harness.clock.now(), token=None, until=before[0].until)
        assert await _holders(harness.backend) == before

    async def test_names_are_apart(self, harness: Harness) -> None:
        """A lease holds nobody off any other name; one holder may have many."""
        for name in ("x", "X", "x ", "x/y"):
            await _take(harness.backend, name=name)
        await _take(harness.backend, "b", "y")
        assert await _refused(harness.backend)

    async def test_several_share(self, harness: Harness) -> None:
        """Those who share hold it together, each under a token and for a time of its own; one who does not is refused."""
        now = harness.clock.now()
        tokens = [await _take(harness.backend, holder, shared=True, ttl=TTL * 2) for holder in "ab"]
        tokens.append(await _take(harness.backend, "c", shared=True))
        assert tokens == sorted(set(tokens))
        untils = [now + TTL * 2, now + TTL * 2, now + TTL]
        expected = [
            Holder(holder=holder, token=token, shared=True, until=until)
            for holder, token, until in zip("abc", tokens, untils, strict=True)
        ]
        assert await _holders(harness.backend) == expected
        assert await _refused(harness.backend, "d") == now + TTL * 2

    async def test_the_last_of_those_who_share(self, harness: Harness) -> None:
        """One who does not share comes in once the last of those who do is gone, by time or by itself."""
        token = await _take(harness.backend, "a", shared=True)
        await _take(harness.backend, "b", shared=True, ttl=TTL * 2)
        assert await harness.backend.leases.release("x", "a", token)
        assert await _refused(harness.backend, "c") == harness.clock.now() + TTL * 2
        harness.clock.move(60)
        await _take(harness.backend, "c")
        await _refused(harness.backend, "a", shared=True)

    @pytest.mark.parametrize("shared", [False, True])
    async def test_over_by_the_store_s_clock(self, harness: Harness, *, shared: bool) -> None:
        """A lease ends when its time has passed, to the microsecond: it holds nobody off and is nobody's any more."""
        token = await _take(harness.backend, shared=shared)
        harness.clock.move(29.999999)
        until = await _refused(harness.backend)
        assert until == harness.clock.now() + 1
        assert len(await _holders(harness.backend)) == 1
        harness.clock.move(0.000001)
        assert await harness.backend.leases.holders(["x"]) == {}
        assert not await harness.backend.leases.renew("x", "a", token, TTL)
        assert not await harness.backend.leases.release("x", "a", token)
        assert await harness.backend.leases.holders() == {}
        await _take(harness.backend, "b")

    # ---- tokens ----------------------------------------------------------------------------------------------------

    async def test_tokens_grow(self, harness: Harness) -> None:
        """Each holder's token is greater than all before of that name, also within one moment, let go or over."""
        tokens: list[int] = []
        for number in range(20):
            tokens.append(await _take(harness.backend, f"{number}"))
            if number % 3:
                assert await harness.backend.leases.release("x", f"{number}", tokens[-1])
            else:
                harness.clock.move(TTL / SECOND)
        assert tokens == sorted(set(tokens))

    async def test_tokens_grow_after_all_is_forgotten(self, harness: Harness) -> None:
        """However long a name is not used, and whatever is tidied up meanwhile, its next token is greater."""
        tokens: list[int] = []
        for pause in (0, 0, 1, 3600, 10**8):
            for _ in range(3):
                tokens.append(await _take(harness.backend))
                assert await harness.backend.leases.release("x", "a", tokens[-1])
            harness.clock.move(pause)
            while await harness.backend.admin.prune(Keep(completed=0, cancelled=0, dead=0), 100):
                pass
        assert tokens == sorted(set(tokens))

    async def test_a_new_token_after_its_own_lease(self, harness: Harness) -> None:
        """Who held it before and asks again, after it was let go or over, draws a new token."""
        tokens = [await _take(harness.backend)]
        assert await harness.backend.leases.release("x", "a", tokens[0])
        tokens.append(await _take(harness.backend))
        harness.clock.move(30)
        tokens.append(await _take(harness.backend))
        assert tokens == sorted(set(tokens))
        assert not await harness.backend.leases.renew("x", "a", tokens[1], TTL)

    # ---- who holds it already --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("shared", [False, True])
    async def test_asked_for_again(self, harness: Harness, *, shared: bool) -> None:
        """Who holds it already is answered the same token, and has it renewed from now, if only for less."""
        token = await _take(harness.backend, shared=shared)
        harness.clock.move(20)
        assert await _take(harness.backend, shared=shared) == token
        expected = Holder(holder="a", token=token, shared=shared, until=harness.clock.now() + TTL)
        assert await _holders(harness.backend) == [expected]
        assert await _take(harness.backend, shared=shared, ttl=SECOND) == token
        (held,) = await _holders(harness.backend)
        assert held.until == harness.clock.now() + SECOND

    @pytest.mark.parametrize("shared", [False, True])
    async def test_asked_for_otherwise(self, harness: Harness, *, shared: bool) -> None:
        """Who holds it and asks for it otherwise is refused as if another held it; its lease stays as it was."""
        await _take(harness.backend, shared=shared)
        (before,) = await _holders(harness.backend)
        harness.clock.move(1)
        assert await _refused(harness.backend, "a", shared=not shared) == before.until
        assert await _holders(harness.backend) == [before]

    # ---- renewing, letting go --------------------------------------------------------------------------------------

    @pytest.mark.parametrize("shared", [False, True])
    async def test_renewed(self, harness: Harness, *, shared: bool) -> None:
        """A lease that is renewed in time goes on from then, for as long as is asked."""
        token = await _take(harness.backend, shared=shared)
        for _ in range(5):
            harness.clock.move(29.999999)
            assert await harness.backend.leases.renew("x", "a", token, TTL)
        assert await _refused(harness.backend) == harness.clock.now() + TTL
        (held,) = await _holders(harness.backend)
        assert (held.token, held.until) == (token, harness.clock.now() + TTL)

    async def test_another_s_is_not_renewed(self, harness: Harness) -> None:
        """Another's token, another holder's name and a name that nobody holds are answered by no, and change nothing."""
        leases = harness.backend.leases
        first = await _take(harness.backend)
        assert await leases.release("x", "a", first)
        token = await _take(harness.backend, "b")
        before = await _holders(harness.backend)
        harness.clock.move(1)
        for name, holder, given in (("x", "a", first), ("x", "a", token), ("x", "b", first), ("y", "b", token)):
            assert not await leases.renew(name, holder, given, TTL)
            assert not await leases.release(name, holder, given)
        assert await _holders(harness.backend) == before

    async def test_let_go(self, harness: Harness) -> None:
        """Let go, a lease is free at once; letting go twice is answered by no, and harms no one after."""
        leases = harness.backend.leases
        token = await _take(harness.backend)
        assert await leases.release("x", "a", token)
        assert await _holders(harness.backend) == []
        assert not await leases.renew("x", "a", token, TTL)
        assert not await leases.release("x", "a", token)
        await _take(harness.backend, "b")
        assert not await leases.release("x", "a", token)
        assert [held.holder for held in await _holders(harness.backend)] == ["b"]

    async def test_one_of_those_who_share_lets_go(self, harness: Harness) -> None:
        """Of those who share, each lets go of its own lease alone."""
        tokens = {holder: await _take(harness.backend, holder, shared=True) for holder in "ab"}
        assert not await harness.backend.leases.release("x", "a", tokens["b"])
        assert await harness.backend.leases.release("x", "a", tokens["a"])
        assert [held.holder for held in await _holders(harness.backend)] == ["b"]

    async def test_whatever_is_held(self, harness: Harness) -> None:
        """Without names all that is held is answered, by name; with names those of them that somebody holds."""
        leases = harness.backend.leases
        await _take(harness.backend, "a", "x", shared=True)
        await _take(harness.backend, "b", "x", shared=True)
        await _take(harness.backend, "a", "y")
        token = await _take(harness.backend, "a", "gone")
        await leases.release("gone", "a", token)
        await _take(harness.backend, "a", "over", ttl=SECOND)
        harness.clock.move(1)
        found = await leases.holders()
        assert {name: sorted(held.holder for held in each.holders) for name, each in found.items()} == {
            "x": ["a", "b"],
            "y": ["a"],
        }
        assert {each.now for each in found.values()} == {harness.clock.now()}
        assert set(await leases.holders(["y", "over", "nobody", "y"])) == {"y"}

    async def test_one_of_many(self, harness: Harness) -> None:
        """Of many who ask at once, on two connections, one is answered a token, and it holds the lease."""
        backends = [harness.backend, await harness.second()]
        answers = await asyncio.gather(
            *[backends[number % 2].leases.acquire("x", f"{number}", TTL, shared=False) for number in range(20)]
        )
        winners = [(f"{number}", answer.token) for number, answer in enumerate(answers) if answer.token is not None]
        assert winners == [(held.holder, held.token) for held in await _holders(harness.backend)]
        assert len(winners) == 1
