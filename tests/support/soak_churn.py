"""Subscribers that come and go: so many a second, each welcomed, each reading a while, each leaving without a word.

`python soak_churn.py RIG PER_S SECONDS` tells as JSON how long each waited for its welcome and what they received.
"""

import json
import sys
import time
from collections import deque
from pathlib import Path

import zmq

from evapd.config import load_rig
from evapd.stream.frame import EVENT, HITS
from evapd.stream.subscriber import Subscriber

STAY_S = 0.5
PATIENCE_S = 10.0


def main(rig: str, per_s: float, seconds: float) -> None:
    """Join at fixed times; who is late joins at once."""
    sockets = load_rig(Path(rig)).rig.sockets
    waits_s: list[float] = []
    unwelcome = frames = 0
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    staying: deque[tuple[float, Subscriber]] = deque()
    begun_s = time.monotonic()
    joined, joining_s = 0, 0.0
    while joined < per_s * seconds or staying:
        now_s = time.monotonic()
        if staying and now_s >= staying[0][0] + STAY_S:
            _, one = staying.popleft()
            while one.receive(0) is not None:
                frames += 1
            one.close()
        elif joined < per_s * seconds and now_s >= begun_s + joined / per_s:
            began_s = time.perf_counter()
            one = Subscriber(sockets.stream, sockets.replay, (HITS, EVENT), context=context)
            if one.await_welcome(PATIENCE_S):
                waits_s.append(time.perf_counter() - began_s)
            else:
                unwelcome += 1
            joined += 1
            joining_s = time.monotonic() - begun_s
            staying.append((now_s, one))
        else:
            time.sleep(0.001)
    took_s = time.monotonic() - begun_s
    context.destroy(0)
    print(json.dumps({
        "joined": joined, "took_s": took_s, "joining_s": joining_s + 1 / per_s, "unwelcome": unwelcome, "frames": frames, "waits_s": waits_s,
    }))  # fmt: skip


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]))
