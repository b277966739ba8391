"""Where events may be sent: ``bb.on("order.*", to=webhook("https://…", secret=…))``."""

from backburner.events.sinks.callback import callback
from backburner.events.sinks.log import log
from backburner.events.sinks.postgres_notify import postgres_notify
from backburner.events.sinks.redis_stream import redis_stream
from backburner.events.sinks.sink import Sink
from backburner.events.sinks.webhook import webhook

__all__ = ["Sink", "callback", "log", "postgres_notify", "redis_stream", "webhook"]
