import resource
import socket
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.errors import LinkError
from evapd.link import SIZE, LinkFlag, LinkRecord, LinkSender, LinkServer, decode, encode, short_digest

RECORD = LinkRecord(
    seq=7,
    t_mono_ns=1_000_000_000,
    flags=LinkFlag.ARMED | LinkFlag.SATURATED,
    pulse_counter=2000,
    live_pulses=1999,
    hits_window=20,
    background_hits=3,
    hits_total=25,
    words=100,
    triggers=30,
    early_hits=2,
    map_hits=24,
    hot_hits=5,
    heartbeat_age_us=4000,
    config=bytes.fromhex("0123456789abcdef"),
)
LITERAL = bytes.fromhex(
    "0200" "0300" "a00f0000" "0700000000000000" "00ca9a3b00000000" "d007000000000000" "cf07000000000000"
    "1400000000000000" "0300000000000000" "1900000000000000" "6400000000000000"
    "1e00000000000000" "0200000000000000" "18000000" "05000000" "0123456789abcdef"
)  # fmt: skip


def pair(tmp_path):
    return LinkServer(tmp_path / "link.sock"), LinkSender(tmp_path / "link.sock")


@pytest.fixture
def link(tmp_path):
    server, sender = pair(tmp_path)
    yield server, sender
    sender.close()
    server.close()


def test_a_record_has_the_bytes_that_are_written_down():
    assert encode(RECORD) == LITERAL
    assert decode(LITERAL) == RECORD


U64 = st.integers(0, 2**64 - 1)
U32 = st.integers(0, 2**32 - 1)


@given(st.builds(
    LinkRecord, seq=U64, t_mono_ns=st.integers(0, 2**63 - 1), flags=st.integers(0, 127).map(LinkFlag), pulse_counter=U64,
    live_pulses=U64, hits_window=U64, background_hits=U64, hits_total=U64, words=U64, triggers=U64, early_hits=U64, map_hits=U32, hot_hits=U32,
    heartbeat_age_us=st.integers(0, 2**32 - 1), config=st.binary(min_size=8, max_size=8),
))  # fmt: skip
def test_what_is_encoded_is_decoded(record):
    assert decode(encode(record)) == record


@given(st.binary(max_size=2 * SIZE))
def test_bytes_that_are_no_record_are_refused_or_are_a_record(data):
    try:
        record = decode(data)
    except LinkError:
        return
    assert encode(record) == data


def test_an_age_beyond_the_field_saturates():
    record = LinkRecord(seq=0, t_mono_ns=0, heartbeat_age_us=10**12)
    assert decode(encode(record)).heartbeat_age_us == 2**32 - 1


def test_a_digest_is_shortened_to_eight_bytes():
    assert short_digest("0123456789abcdef" * 4) == bytes.fromhex("0123456789abcdef")


def test_records_arrive_in_order(link):
    server, sender = link
    sent = [LinkRecord(seq=i, t_mono_ns=i) for i in range(5)]
    assert all(sender.send(record) for record in sent)
    assert server.poll() == sent
    assert server.connected


def test_without_a_guard_sending_says_so_and_connects_later(tmp_path):
    sender = LinkSender(tmp_path / "link.sock")
    assert not sender.send(RECORD)
    server = LinkServer(tmp_path / "link.sock")
    assert sender.send(RECORD)
    assert server.poll() == [RECORD]
    sender.close()
    server.close()


def test_the_death_of_acquire_is_seen_at_the_next_poll_after_its_last_records(link):
    server, sender = link
    sender.send(RECORD)
    sender.close()
    assert server.poll() == [RECORD]
    assert not server.connected
    assert server.disconnects == 1


def test_a_death_and_a_reconnection_between_two_polls_still_count_as_a_death(link):
    server, sender = link
    sender.send(RECORD)
    server.poll()
    sender.close()
    sender.send(RECORD)
    assert server.poll() == [RECORD]
    assert server.connected
    assert server.disconnects == 1


def test_acquire_finds_a_restarted_guard(tmp_path):
    server, sender = pair(tmp_path)
    sender.send(RECORD)
    server.close()
    assert not sender.send(RECORD)
    again = LinkServer(tmp_path / "link.sock")
    assert sender.send(RECORD)
    assert again.poll() == [RECORD]
    sender.close()
    again.close()


def test_a_guard_that_does_not_read_never_blocks_acquire(link):
    _, sender = link
    results = [sender.send(RECORD) for _ in range(5000)]
    assert results[0]
    assert not results[-1]
    assert sender.connected


def test_loss_that_could_not_be_sent_is_told_by_the_next_record(link):
    server, sender = link
    while sender.send(LinkRecord(seq=0, t_mono_ns=0)):
        pass
    sender.send(LinkRecord(seq=1, t_mono_ns=1, flags=LinkFlag.LOSS | LinkFlag.ARMED))
    while server.poll():
        pass
    sender.send(LinkRecord(seq=2, t_mono_ns=2))
    assert server.poll()[-1].flags == LinkFlag.LOSS


def test_a_second_acquire_is_turned_away(link, tmp_path):
    server, sender = link
    sender.send(RECORD)
    server.poll()
    second = LinkSender(tmp_path / "link.sock")
    second.send(RECORD)
    assert server.poll() == []
    assert server.refused == 1
    assert not second.send(RECORD)
    second.close()


@pytest.mark.parametrize("garbage", [b"x", LITERAL + b"x", b"\x01" + LITERAL[1:], LITERAL[:-1]])
def test_a_wrong_size_or_version_is_dropped_and_counted(link, tmp_path, garbage):
    server, _ = link
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stranger:
        stranger.connect(str(tmp_path / "link.sock"))
        stranger.send(garbage)
        stranger.send(LITERAL)
        assert server.poll() == [RECORD]
    assert server.damaged == 1


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(LinkError, match="nowhere"):
        LinkServer(tmp_path / "nowhere" / "link.sock")


def test_a_sender_without_file_descriptors_tries_again_with_the_next_record(tmp_path: Path) -> None:
    with closing(LinkServer(tmp_path / "link.sock")), closing(LinkSender(tmp_path / "link.sock")) as sender:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            refused = sender.send(RECORD)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert not refused
        assert sender.send(RECORD)
