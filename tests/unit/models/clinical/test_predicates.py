"""Compiled predicates against a reference that walks the tree record by record."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.clinical.predicates import Program, stacked, terms_of
from models.clinical.truth import FALSE, TRUE, UNKNOWN, Interval

INF = float("inf")


def run(predicate, **bounds):
    variables = {name: Interval(np.float32([low]), np.float32([high])) for name, (low, high) in bounds.items()}
    variables = variables or {"unrelated": Interval(np.float32([0]), np.float32([0]))}
    program = Program([terms_of(predicate)])
    return int(program.run(*stacked(variables, program.variables))[0, 0])


class TestLeaves:
    @pytest.mark.parametrize(
        ("operator", "constant", "true", "false", "unknown"),
        [
            (">=", 5, (5, 9), (0, 4), (4, 5)),
            (">", 5, (6, 9), (0, 5), (5, 6)),
            ("<=", 5, (0, 5), (6, 9), (5, 6)),
            ("<", 5, (0, 4), (5, 9), (4, 5)),
            ("==", 5, (5, 5), (6, 9), (5, 6)),
            ("!=", 5, (6, 9), (5, 5), (4, 6)),
            ("between", [5, 6], (5, 6), (7, 9), (4, 6)),
            ("in", [1, 5], (5, 5), (6, 9), (4, 5)),
        ],
    )
    def test_interval_inside_holds_outside_fails_and_across_is_unknown(self, operator, constant, true, false, unknown):
        assert run(["x", operator, constant], x=true) == TRUE
        assert run(["x", operator, constant], x=false) == FALSE
        assert run(["x", operator, constant], x=unknown) == UNKNOWN

    @pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
    def test_an_unknown_variable_is_unknown_for_every_operator(self, operator):
        assert run(["x", operator, 5]) == UNKNOWN
        assert run(["x", operator, 5], x=(-INF, INF)) == UNKNOWN

    def test_fractions_are_compared_as_float32_on_both_sides(self):
        assert run(["x", "<", 7.35], x=(7.35, 7.35)) == FALSE
        assert run(["x", ">=", 39.1], x=(np.float32(39.1), np.float32(39.1))) == TRUE

    def test_words_stand_for_their_index(self):
        assert run(["acvpu", "in", ["P", "U"]], acvpu=(4, 4)) == TRUE
        assert run(["acvpu", "in", ["P", "U"]], acvpu=(2, 2)) == FALSE
        assert run(["model.risk_band", "==", "low"], **{"model.risk_band": (0, 0)}) == TRUE


class TestErrors:
    @pytest.mark.parametrize(
        "predicate",
        [
            ["x", "~", 5],
            ["x", "==", "word"],
            ["acvpu", "==", "X"],
            ["x", "==", None],
            ["x", "=="],
            {"some": []},
            {"all": [], "any": []},
            "x",
        ],
    )
    def test_what_is_not_in_the_grammar_is_refused_with_a_reason(self, predicate):
        with pytest.raises(ValueError, match=r"use (one of|a number|\[variable)"):
            terms_of(predicate)

    def test_no_variables_at_all_is_refused(self):
        with pytest.raises(ValueError, match="no variables"):
            stacked({}, ("x",))


NAMES = ("x", "y", "z")
leaves = st.one_of(
    st.tuples(st.sampled_from(NAMES), st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), st.integers(0, 4)).map(list),
    st.tuples(st.sampled_from(NAMES), st.just("between"), st.just([1, 3])).map(list),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=8,
)
intervals = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(sorted).map(tuple)


def walk(tree, bounds):
    """Kleene's logic on the tree as it stands."""
    if isinstance(tree, dict):
        ((word, parts),) = tree.items()
        if word == "not":
            return 2 - walk(parts, bounds)
        return (min if word == "all" else max)(walk(part, bounds) for part in parts)
    name, operator, constant = tree
    low, high = bounds[name]
    tests = {
        "==": lambda v: v == constant,
        "!=": lambda v: v != constant,
        "<": lambda v: v < constant,
        "<=": lambda v: v <= constant,
        ">": lambda v: v > constant,
        ">=": lambda v: v >= constant,
        "between": lambda v: constant[0] <= v <= constant[1],
    }
    held = {tests[operator](value) for value in range(low, high + 1)}
    return UNKNOWN if len(held) == 2 else (TRUE if held == {True} else FALSE)


class TestProgram:
    @given(st.lists(trees, min_size=1, max_size=4), st.lists(st.tuples(intervals, intervals, intervals), min_size=1))
    @settings(max_examples=100, deadline=None)
    def test_flat_program_equals_the_walk_over_the_trees(self, predicates, patients):
        program = Program([terms_of(tree) for tree in predicates])
        columns = [np.float32(column) for column in zip(*patients, strict=True)]
        variables = {n: Interval(c[:, 0], c[:, 1]) for n, c in zip(NAMES, columns, strict=True)}
        result = program.run(*stacked(variables, program.variables))
        for i, patient in enumerate(patients):
            bounds = dict(zip(NAMES, patient, strict=True))
            assert result[:, i].tolist() == [walk(tree, bounds) for tree in predicates]

    def test_a_predicate_without_terms_is_false(self):
        program = Program([[], terms_of(["x", ">=", 1])])
        assert program.run(np.float32([[2]]), np.float32([[2]]))[:, 0].tolist() == [FALSE, TRUE]
