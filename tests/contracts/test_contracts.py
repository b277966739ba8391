"""The published contract, on every store there is."""

from __future__ import annotations

from backburner.testing import contracts


class TestInserting(contracts.InsertingContract): ...


class TestBirths(contracts.BirthContract): ...


class TestClaiming(contracts.ClaimingContract): ...


class TestGates(contracts.GateContract): ...


class TestFencing(contracts.FencingContract): ...


class TestSettling(contracts.SettlingContract): ...


class TestRecovering(contracts.RecoveringContract): ...


class TestNodes(contracts.NodeContract): ...


class TestQueues(contracts.QueueContract): ...


class TestReading(contracts.ReadingContract): ...


class TestAdmin(contracts.AdminContract): ...


class TestNotifier(contracts.NotifierContract): ...


class TestLife(contracts.LifeContract): ...
