"""What waits for a viewer who does not keep up."""

import asyncio

from evapd.web.hub import EVENTS_KEPT, PICTURE, Hub, Seat


def drained(seat: Seat) -> list[bytes]:
    async def take() -> list[bytes]:
        taken = []
        while seat.waiting:
            taken.append(await asyncio.wait_for(seat.next(), 30.0))
        return taken

    return asyncio.run(take())


def test_a_slow_viewer_gets_the_newest_of_each_kind_only() -> None:
    hub = Hub()
    seat = hub.join()
    for n in range(1000):
        hub.tell("live", b"live %d" % n)
        hub.tell("slow", b"slow %d" % n)
    assert sorted(drained(seat)) == [b"live 999", b"slow 999"]


def test_one_message_is_the_same_object_for_all() -> None:
    hub = Hub()
    seats = [hub.join() for _ in range(3)]
    message = b"x" * 100
    hub.tell("live", message)
    assert all(drained(seat)[0] is message for seat in seats)


def test_events_keep_their_order_and_come_first() -> None:
    hub = Hub()
    seat = hub.join()
    hub.tell("live", b"live")
    for n in range(5):
        hub.tell_event(b"%d" % n)
    assert drained(seat) == [b"0", b"1", b"2", b"3", b"4", b"live"]


def test_events_beyond_the_bound_are_counted() -> None:
    hub = Hub()
    seat = hub.join()
    for n in range(EVENTS_KEPT + 7):
        hub.tell_event(b"%d" % n)
    assert seat.missed_events == 7
    assert drained(seat)[-1] == b"%d" % (EVENTS_KEPT + 6)


def test_memory_of_a_viewer_who_never_reads_is_bounded() -> None:
    hub = Hub()
    seat = hub.join()
    for n in range(10_000):
        hub.tell("live", bytes(1000))
        hub.tell_event(b"%06d" % n)
    assert seat.waiting <= 1000 + 6 * EVENTS_KEPT


def test_who_comes_late_sees_the_present_and_the_last_events() -> None:
    hub = Hub()
    hub.tell("live", b"old")
    hub.tell("live", b"new")
    hub.tell_event(b"event")
    assert drained(hub.join()) == [b"event", b"new"]


def test_who_has_left_gets_nothing() -> None:
    hub = Hub()
    seat = hub.join()
    hub.leave(seat)
    hub.tell("live", b"x")
    assert seat.waiting == 0
    assert hub.viewers == 0


def test_a_viewer_who_waits_is_woken() -> None:
    async def story() -> bytes:
        hub = Hub()
        seat = hub.join()
        waiting = asyncio.create_task(seat.next())
        await asyncio.sleep(0)
        hub.tell("live", b"x")
        return await asyncio.wait_for(waiting, 30.0)

    assert asyncio.run(story()) == b"x"


async def given(seat: Seat) -> list[bytes]:
    """What the seat gives before it waits."""
    taken = []
    while True:
        asked = asyncio.ensure_future(seat.next())
        await asyncio.sleep(0)
        if not asked.done():
            asked.cancel()
            return taken
        taken.append(asked.result())


async def shown(seat: Seat, pictures: range) -> list[bytes]:
    """What a viewer gets who is always ready while pictures come."""
    taken = []
    for number in pictures:
        seat.put(PICTURE, b"%d" % number)
        taken += await given(seat)
    return taken


def test_a_viewer_who_says_what_it_has_seen_is_never_more_than_two_pictures_ahead():
    async def look() -> None:
        seat = Hub().join()
        assert await shown(seat, range(3)) == [b"0", b"1", b"2"]
        for _ in range(3):
            seat.seen()
        assert await shown(seat, range(3, 100)) == [b"3", b"4"]
        seat.seen()
        assert await given(seat) == [b"99"]

    asyncio.run(look())


def test_a_viewer_who_waits_for_a_picture_is_told_of_everything_else():
    async def look() -> None:
        seat = Hub().join()
        seat.seen()
        await shown(seat, range(5))
        seat.put("slow", b"slow")
        seat.put_event(b"event")
        assert await given(seat) == [b"event", b"slow"]

    asyncio.run(look())


def test_a_viewer_who_never_says_what_it_has_seen_is_given_every_picture():
    assert len(asyncio.run(shown(Hub().join(), range(50)))) == 50


def test_saying_seen_too_often_gives_no_more_than_two_at_a_time():
    seat = Hub().join()
    for _ in range(1000):
        seat.seen()
    assert asyncio.run(shown(seat, range(10))) == [b"0", b"1"]
