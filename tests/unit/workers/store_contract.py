"""What every context store promises. Run against the fake, the one in memory and the one in Redis."""

from __future__ import annotations

A, B = b"a" * 16, b"b" * 16
GONE, NEVER = b"g" * 16, b"n" * 16
BLANK = bytes(8)


def value(version: int, text: bytes = b"") -> bytes:
    return version.to_bytes(8, "little") + text


class StoreContract:
    """Subclasses give the fixture `store`."""

    async def test_what_was_never_written_is_none(self, store):
        assert await store.read([A, B]) == [None, None]

    async def test_a_first_write_wins_and_is_read(self, store):
        assert await store.compare_and_set([A], [BLANK], [value(1, b"x")]) == [True]
        assert await store.read([B, A]) == [None, value(1, b"x")]

    async def test_the_expected_version_wins(self, store):
        await store.compare_and_set([A], [BLANK], [value(1)])
        assert await store.compare_and_set([A], [value(1)], [value(2, b"y")]) == [True]
        assert await store.read([A]) == [value(2, b"y")]

    async def test_another_version_loses_and_changes_nothing(self, store):
        await store.compare_and_set([A], [BLANK], [value(1, b"theirs")])
        assert await store.compare_and_set([A], [value(7)], [value(8, b"ours")]) == [False]
        assert await store.read([A]) == [value(1, b"theirs")]

    async def test_a_blank_expectation_does_not_overwrite(self, store):
        await store.compare_and_set([A], [BLANK], [value(1)])
        assert await store.compare_and_set([A], [BLANK], [value(2)]) == [False]

    async def test_one_lost_comparison_costs_the_others_nothing(self, store):
        await store.compare_and_set([A], [BLANK], [value(1)])
        assert await store.compare_and_set([A, B], [value(5), BLANK], [value(6), value(1, b"b")]) == [False, True]
        assert await store.read([A, B]) == [value(1), value(1, b"b")]

    async def test_our_own_write_whose_answer_was_lost_counts_as_won(self, store):
        await store.compare_and_set([A], [BLANK], [value(1)])
        await store.compare_and_set([A], [value(1)], [value(2, b"x")])
        assert await store.compare_and_set([A], [value(1)], [value(2, b"x")]) == [True]

    async def test_a_key_that_the_store_has_lost_is_taken(self, store):
        assert await store.compare_and_set([A], [value(41)], [value(42)]) == [True]
        assert await store.read([A]) == [value(42)]

    async def test_what_the_caller_holds_never_hides_what_is_stored(self, store):
        await store.compare_and_set([A, B], [BLANK, BLANK], [value(2, b"a"), value(7, b"b")])
        held = {A: value(1, b"older"), B: value(7, b"b"), GONE: value(3, b"lost")}
        assert await store.read([A, B, GONE, NEVER], held) == [value(2, b"a"), value(7, b"b"), None, None]

    async def test_embeddings_are_found_by_key(self, store):
        await store.write_embeddings([A, B], [b"1", b"2"])
        assert await store.read_embeddings([B, b"c" * 16, A]) == [b"2", None, b"1"]

    async def test_embeddings_and_contexts_do_not_mix(self, store):
        await store.write_embeddings([A], [b"1"])
        assert await store.read([A]) == [None]

    async def test_any_bytes_come_back(self, store):
        raw = bytes(range(256)) * 30
        await store.compare_and_set([A], [BLANK], [raw])
        assert await store.read([A]) == [raw]
        assert await store.compare_and_set([A], [raw[:8]], [value(1)]) == [True]
