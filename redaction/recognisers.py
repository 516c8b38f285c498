"""Presidio with our own Chinese recognisers: the only module that imports it.

The import costs seconds and about 90 MB, so ``redaction.finding`` loads this module at first use. No model,
no predefined recogniser (several fetch from the network or fail beside Chinese signs), no built-in context
search.  A pattern that runs out of time raises: Presidio would log and go on, which means "nothing found".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby
from typing import Any, Final

import regex
from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NlpArtifacts, NoOpNlpEngine

from policies.terms import EntityType
from redaction.entities import Entity, Unfinished
from redaction.identifiers import SHAPES, Shape

_LANGUAGE: Final = "zh"
_SECONDS: Final = 1.0
_BEFORE: Final = 22
_AFTER: Final = 8
_JUST_BEFORE: Final = 12
_SURER: Final = 0.1
_SEPARATOR_SIGNS: Final = " .-·"
_SEPARATORS: Final = regex.compile(r"[ .\-·]+")


class ShapeRecogniser(EntityRecognizer):
    """Finds one type of identifier by its shapes, checks and the words around it."""

    def __init__(self, kind: EntityType, shapes: Sequence[Shape]) -> None:
        self._kind = kind
        self._shapes = tuple((shape, regex.compile(shape.pattern)) for shape in shapes)
        super().__init__([kind.value], name=f"{kind}_recogniser", supported_language=_LANGUAGE)

    def load(self) -> None:
        """Nothing to load: the shapes are compiled."""

    def analyze(
        self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None
    ) -> list[RecognizerResult]:
        """Return every match that passes its check and stands in the right company."""
        del entities, nlp_artifacts
        try:
            return [
                RecognizerResult(self._kind.value, start, end, score)
                for shape, program in self._shapes
                for start, end, score in _matches(shape, program, text)
            ]
        except TimeoutError as error:
            raise Unfinished(f"searching for {self._kind} took too long") from error


def _matches(shape: Shape, program: Any, text: str) -> Iterator[tuple[int, int, float]]:
    group = "v" if "v" in program.groupindex else 0
    for found in program.finditer(text, overlapped=False, timeout=_SECONDS):
        start, end = found.span(group)
        value = text[start:end]
        if shape.check is not None and group == 0:
            value = _checked(shape.check, value)
            end = start + len(value)
        if not value or (shape.check is not None and group and not shape.check(value)):
            continue
        before = text[max(0, start - _BEFORE) : start]
        around = before + text[end : end + _AFTER]
        supported = any(word in around for word in shape.context)
        if shape.only_with_context and not supported:
            continue
        just_before = before[-_JUST_BEFORE:]
        if any(word in just_before for word in shape.against) and not any(
            word in just_before for word in shape.context
        ):
            continue
        yield start, end, min(1.0, shape.score + _SURER) if supported else shape.score


def _checked(check: Callable[[str], bool], value: str) -> str:
    """Return the value, or what is left of it without a further number behind a separator, or nothing."""
    while value and not check(_SEPARATORS.sub("", value)):
        value = value[: max(map(value.rfind, _SEPARATOR_SIGNS))] if _SEPARATORS.search(value) else ""
        value = value.rstrip(_SEPARATOR_SIGNS)
    return value


class _ContextIsDone(ContextAwareEnhancer):
    """Each recogniser has looked at its own context; the built-in enhancer copies every result."""

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(
        self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any
    ) -> list[RecognizerResult]:
        """Return the results as they are."""
        del text
        return raw_results


class Analyser:
    """The engine with our recognisers. Safe to share between threads: it keeps nothing of a text."""

    def __init__(self) -> None:
        ordered = sorted(SHAPES, key=lambda shape: shape.type)
        recognisers = [
            ShapeRecogniser(kind, tuple(shapes)) for kind, shapes in groupby(ordered, key=lambda s: s.type)
        ]
        engine = NoOpNlpEngine(models=[{"lang_code": _LANGUAGE, "model_name": "no_op"}])
        engine.load()
        self._no_artifacts = engine.process_text("", _LANGUAGE)
        self._engine = AnalyzerEngine(
            registry=RecognizerRegistry(recognizers=recognisers, supported_languages=[_LANGUAGE]),
            nlp_engine=engine,
            supported_languages=[_LANGUAGE],
            context_aware_enhancer=_ContextIsDone(),
        )

    def analyse(self, text: str, kinds: Collection[EntityType]) -> list[Entity]:
        """Return what of these kinds stands in the normalised text.

        Raises:
            Unfinished: a pattern ran out of time.
        """
        results = self._engine.analyze(
            text,
            language=_LANGUAGE,
            entities=[kind.value for kind in kinds],
            nlp_artifacts=self._no_artifacts,
        )
        return [Entity(EntityType(r.entity_type), r.start, r.end, r.score) for r in results]
