"""A worker with short clocks and a judge of the test's choice, as a process: its argument is JSON."""

import asyncio
import json
import sys

from api import logs, settings
from api.worker import Timing, Worker
from verifier.sandbox import JUDGE, Program

if __name__ == "__main__":
    logs.set_up()
    given = json.loads(sys.argv[1])
    timing = Timing(**given["timing"] | {"retry": tuple(given["timing"]["retry"])})
    program = Program(command=given["command"]) if given["command"] else JUDGE
    asyncio.run(Worker(settings=settings.load(), timing=timing, program=program).run())
