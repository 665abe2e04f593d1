"""Which models a patient gets, given what control asks for and what is loaded.

A choice is a version of a model with the fusion that goes with it: both are used, or neither. What is not loaded leaves
what was in use before. Nothing here changes: `workers.shelf` makes another one when it has loaded more, and a batch
stays with the one that it began with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from models.bundle import Bundle, strangers, with_parts
from topics.control_settings import Choice, ModelSwitch
from topics.reasons import Reason
from workers.arms import Arm, Suite, in_share
from workers.control import Control
from workers.inference import ImagingModel, NotesModel

Named = tuple[str, str]
"""A model's name and version."""

ENCODERS: Final = ("notes", "imaging")
"""Models whose results stay in the context as embeddings, which only their own fusion can read."""


class Standing:
    """What is loaded at one moment; see `workers.arms.Suites`.

    Args:
        bundle: What the worker started with.
        make: Makes a suite of a bundle.
        loaded: Bundles that have a version, by model and version.
        last: By model of which control names a version: the one to use until that one is there.
        before: Whose suites are used again where they are the same.

    Attributes:
        suites: Made so far, by the versions in them that are not the worker's own.
    """

    def __init__(
        self, bundle: Bundle, make: Callable[[Bundle, bool], Suite], loaded: Mapping[Named, Bundle],
        last: Mapping[str, Choice], before: Standing | None = None,
    ) -> None:  # fmt: skip
        self._bundle, self._make_suite = bundle, make
        self.loaded: Final = loaded
        self.last: Final = last
        known: dict[frozenset[Named], Suite] = {} if before is None else dict(before.suites)
        fit = {key: suite for key, suite in known.items() if key <= loaded.keys()}
        self.suites: Final[dict[frozenset[Named], Suite]] = fit
        self._arms: tuple[Control | None, dict[tuple[str, ...], Arm]] = (None, {})
        self.base: Final = self._suite({})

    def live(self, control: Control) -> Arm:
        """What patients outside any canary get."""
        return self._arm((), control)

    def of(self, patient: bytes, control: Control) -> Arm:
        """What one patient gets."""
        canary = tuple(
            name
            for name, switch in sorted(control.switches.items())
            if switch.canary is not None and in_share(patient, name, switch.share or 0.0)
        )
        return self._arm(canary, control)

    def shadow(self, control: Control) -> tuple[Suite, dict[str, str]] | None:
        """The live suite with the candidates of vitals, fusion and ranker that score along, and their versions.

        None where there are none.
        """
        found: dict[str, str] = {}
        for name, switch in _in_order(control):
            candidate = switch.along
            if name not in ENCODERS and candidate and self.there(candidate):
                found |= dict(candidate)
        return (self._suite(self._chosen((), control).versions | found), found) if found else None

    def encoder(self, name: str, control: Control) -> NotesModel | ImagingModel | None:
        """The candidate of notes or imaging that encodes along; None where there is none."""
        switch = control.switches.get(name)
        candidate = () if switch is None else switch.along
        if not candidate or not self.there(candidate):
            return None
        models = self._suite(dict(candidate)).models
        return models.notes if name == "notes" else models.imaging

    def there(self, choice: Choice) -> bool:
        """Whether all of a choice can be used."""
        own = self._bundle.versions
        return all(named in self.loaded or own.get(named[0]) == named[1] for named in choice)

    def _arm(self, canary: tuple[str, ...], control: Control) -> Arm:
        known, arms = self._arms
        if known is not control:
            arms = {}
            self._arms = (control, arms)
        arm = arms.get(canary)
        if arm is None:
            arm = arms[canary] = self._make_arm(canary, control)
        return arm

    def _make_arm(self, canary: tuple[str, ...], control: Control) -> Arm:
        chosen = self._chosen(canary, control)
        suite = self._suite(chosen.versions)
        reasons = [Reason.MODEL_VERSION_UNAVAILABLE] if chosen.short else []
        if suite.without_fusion:
            reasons.append(Reason.FUSION_MISFIT)
        return Arm(suite, canary=chosen.canary, reasons=tuple(reasons))

    def _chosen(self, canary: tuple[str, ...], control: Control) -> _Chosen:
        versions: dict[str, str] = {}
        inside, short = [], False
        for name, switch in _in_order(control):
            asked = [switch.to_use, self.last.get(name, ())] if switch.version is not None else []
            if name in canary:
                asked.insert(0, switch.for_some)
            taken = next((k for k, choice in enumerate(asked) if choice and self.there(choice)), None)
            if taken is not None:
                versions |= dict(asked[taken])
            if taken == 0 and name in canary:
                inside.append(name)
            short |= bool(asked) and taken != 0
        return _Chosen(versions, tuple(inside), short)

    def _suite(self, versions: Mapping[str, str]) -> Suite:
        own = self._bundle.versions
        key = frozenset((name, version) for name, version in versions.items() if own.get(name) != version)
        suite = self.suites.get(key)
        if suite is None:
            bundle = with_parts(self._bundle, {name: self.loaded[name, version] for name, version in key})
            misfit = any(line.startswith("fusion ") for line in strangers(bundle.manifests))
            suite = self.suites[key] = self._make_suite(bundle, misfit)
        return suite


class _Chosen(NamedTuple):
    """What a patient gets.

    Attributes:
        versions: By model, of what control asks for and is there.
        canary: Models of which the candidate is there.
        short: Something that control asks for is not.
    """

    versions: dict[str, str]
    canary: tuple[str, ...]
    short: bool


def wanted(control: Control) -> Iterator[Named]:
    """Every version that control names."""
    for switch in control.switches.values():
        yield from (*switch.to_use, *switch.for_some, *switch.along)


def _in_order(control: Control) -> list[tuple[str, ModelSwitch]]:
    """Switches by name; the fusion's own first, because one that goes with another model's version is meant more."""
    return sorted(control.switches.items(), key=lambda item: (item[0] != "fusion", item[0]))
