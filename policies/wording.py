"""Says a change of the rules as one sentence, in Chinese and in English, for an officer who reads tables.

Promises that every part of a line of ``policies.whatif`` is said: who, does what, with what, being what to
the subject, for which purposes, when, from which answer to which, and by which rules. Where a line covers
nearly every purpose, the few that it leaves out are named instead. Titles come from the books; a word
that only the other book declares is looked up there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from policies.book import RuleBook
from policies.comparing import RoleSet
from policies.entries import Title
from policies.knowledge import Known
from policies.resources import NO_PURPOSE
from policies.terms import Action, Condition, FieldName, Level, Purpose, Relation, Role
from policies.whatif import Answer, Change

LEVELS: Final = {
    Level.FULL: Title("完整可见", "in full"),
    Level.MASKED: Title("脱敏可见", "masked"),
    Level.EXISTS: Title("只知有无", "existence only"),
    Level.HIDDEN: Title("不可见", "nothing"),
}
ACTIONS: Final = {
    Action.READ: Title("查看", "reads"),
    Action.WRITE: Title("填写", "writes"),
    Action.SEND: Title("发送", "sends through"),
}
RELATIONS: Final = {
    Relation.SELF: Title("本人", "the person"),
    Relation.WARD: Title("监护人", "the guardian"),
    Relation.CORESIDENT: Title("同住人", "a coresident"),
    Relation.ASSIGNED: Title("负责人", "the assigned one"),
    Relation.NONE: Title("无关的人", "unrelated"),
}
CONDITIONS: Final = {
    Condition.CONSENT: Title("同意或其他依据", "consent or another basis"),
    Condition.SHARED: Title("本人共享给此人", "shared by the person with this viewer"),
    Condition.HIDDEN: Title("本人隐藏", "hidden by the person"),
    Condition.UNAPPROVED: Title("未获批准", "not approved"),
    Condition.UNDER_14: Title("未满十四周岁", "under 14"),
    Condition.UNDER_18: Title("未满十八周岁", "under 18"),
    Condition.PROFILED: Title("自动化决策", "automated decision"),
    Condition.TICKET: Title("工单", "ticket"),
    Condition.SAME_GENDER_ASKED: Title("家庭要求同性别顾问", "advisors of the same gender are asked for"),
    Condition.OTHER_GENDER: Title("性别不同", "of another gender"),
    Condition.EMERGENCY: Title("紧急情况", "emergency"),
}
VALUES: Final = {
    Known.YES: Title("是", "yes"),
    Known.NO: Title("否", "no"),
    Known.UNKNOWN: Title("不明", "unknown"),
    Known.NOT_YES: Title("否或不明", "no or unknown"),
    Known.NOT_NO: Title("是或不明", "yes or unknown"),
}
_FEW: Final = 3
_WHOLE: Final = {True: Title("允许", "allowed"), False: Title("不允许", "not allowed")}


def line_of(change: Change, old: RuleBook, new: RuleBook) -> Title:
    """Return one line of a comparison as a sentence."""
    words = _Words(new, old)
    who = _joined((words.roles(some) for some in change.role_sets), "、", " / ")
    verbs: Mapping[str, Title] = {action.value: title for action, title in ACTIONS.items()}
    further = any(thing.startswith("type:") for thing in change.things)
    does = Title(f" {change.action} ", change.action) if further else verbs[change.action]
    what = _joined(map(words.thing, change.things), "、", ", ")
    tie = _joined((RELATIONS[one] for one in change.relations), "、", " / ")
    aims = words.purposes(change.purposes)
    when = _joined((words.fact(name, known) for name, known in change.facts), "、", ", ")
    graded = change.action == Action.READ and not further
    before, after = _answer(change.before, graded), _answer(change.after, graded)
    rules = f"{' '.join(change.rules_before) or '-'} → {' '.join(change.rules_after) or '-'}"
    if further:  # nobody is anything to a document
        asks = Title(f"{who.zh}{does.zh}{what.zh}", f"{who.en} {does.en} {what.en}")
    else:
        asks = Title(f"{who.zh}（{tie.zh}）{does.zh}{what.zh}", f"{who.en} ({tie.en}) {does.en} {what.en}")
    zh = [asks.zh, aims.zh, when.zh, f"{before.zh} → {after.zh}", rules]
    en = [asks.en, aims.en, when.en, f"{before.en} → {after.en}", rules]
    return Title("；".join(part for part in zh if part), "; ".join(part for part in en if part))


class _Words:
    """Titles of declared words, from the first book that declares them."""

    def __init__(self, *books: RuleBook) -> None:
        self._books = books

    def roles(self, roles: RoleSet) -> Title:
        if not roles:
            return Title("任何人", "anybody")
        return _joined((self._role(role) for _, role in sorted(roles)), "兼", " + ")

    def _role(self, role: Role) -> Title:
        return self._first(role, lambda book: book.roles[role].title)

    def thing(self, thing: str) -> Title:
        kind, _, name = thing.partition(":")
        if kind == "type":
            return self._first(name, lambda book: book.resources.types[name].title)
        return self._first(thing, lambda book: book.fields[FieldName(thing)].title)

    def purposes(self, purposes: tuple[Purpose, ...]) -> Title:
        if purposes == (NO_PURPOSE,):
            return Title("", "")
        declared = dict.fromkeys(one for book in self._books for one in book.purposes)
        missing = [one for one in declared if one not in purposes]
        named = missing if len(missing) <= _FEW else purposes
        titles = _joined(map(self._purpose, named), "、", ", ")
        if not missing:
            return Title("任何目的", "for any purpose")
        if len(missing) <= _FEW:
            return Title(f"除{titles.zh}外的任何目的", f"for any purpose but {titles.en}")
        return Title(f"目的：{titles.zh}", f"for {titles.en}")

    def _purpose(self, purpose: Purpose) -> Title:
        return self._first(purpose, lambda book: book.purposes[purpose].title)

    def fact(self, name: str, known: Known) -> Title:
        value = VALUES[known]
        if name in CONDITIONS:
            title = CONDITIONS[Condition(name)]
        else:
            title = self._first(name, lambda book: book.resources.conditions[name].title)
        return Title(f"{title.zh}：{value.zh}", f"{title.en}: {value.en}")

    def _first(self, word: str, look_up: Callable[[RuleBook], Title]) -> Title:
        for book in self._books:
            try:
                return look_up(book)
            except KeyError:
                continue
        return Title(word, word)


def _answer(answer: Answer, graded: bool) -> Title:
    level = LEVELS[answer.level] if graded else _WHOLE[answer.level > Level.HIDDEN]
    if not answer.duties:
        return level
    duties = " ".join(answer.duties)
    return Title(f"{level.zh}（{duties}）", f"{level.en} ({duties})")


def _joined(titles: Iterable[Title], zh: str, en: str) -> Title:
    some = list(titles)
    return Title(zh.join(one.zh for one in some), en.join(one.en for one in some))
