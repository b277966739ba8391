"""What a node publishes of itself."""

from __future__ import annotations

from backburner.codec.patching import check
from tests.unit.jobs.engines import House


async def test_a_node_publishes_what_its_kinds_take() -> None:
    """A schema for every kind and alias, of the arguments as they are stored."""
    house = House()

    @house.bb.job(name="mail.send", aliases=["mail.old"])
    async def send(to: str, *, copies: int = 1) -> None: ...

    async with house.bb:
        handle = await house.bb.create_task(send("ada"))
        (node,) = await house.backend.nodes.find()
        assert set(node.kinds) == {"mail.send", "mail.old"}
        assert node.signatures == dict.fromkeys(
            node.kinds, house.engine._kinds.definitions["mail.send"].signature.schema
        )
        (stored,) = (await house.backend.reader.get([handle.id])).jobs
        check(stored.args, node.signatures[stored.kind])
