"""One access as the person it was about reads it: who, what, what for, and what came of it.

Speaks to the person ("您"), names the one who benefits and not only the service in between, and says
automatic or human. Never shows a value: the page tells that it was looked at, not what it says.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from governance.accesses import Access
from governance.ladder import field_title, in_language, listed, purpose_title
from governance.languages import Say, noted, saying
from policies.book import RuleBook
from policies.reasons import Reason
from policies.terms import Category, Effect, Outcome

_ACTS: Final = {
    "read": noted("想查看您的%(fields)s"),
    "check": noted("询问能否使用您的%(fields)s"),
    "write": noted("想写入您的%(fields)s"),
    "check.write": noted("询问能否写入您的%(fields)s"),
    "check.send": noted("询问能否通过%(fields)s联系您"),
    "search.subject": noted("查询了谁能使用您的%(fields)s"),
    "search.resource": noted("查询了能使用您的哪些信息：%(fields)s"),
    "search.purpose": noted("查询了能为哪些目的使用您的%(fields)s"),
    "search.action": noted("查询了能对您的%(fields)s做什么"),
}
_CHANGES: Final = {
    "deliver": noted("准备把一条消息交付给您"),
    "read.failed": noted("获准查看，但内容没能打开"),
    "log.read": noted("查阅了一条与您有关的记录"),
    "audit.searched": noted("在日志里检索了与您有关的记录"),
    "search.resource": noted("查询了能使用您的哪些信息，没有找到"),
    "consent.served": noted("出示了一份告知"),
    "consent.not_asked": noted("想再次征求您的同意，离您上次拒绝太近，没有询问"),
    "consent.ticked": noted("勾选了一项同意"),
    "consent.confirmed": noted("确认了一项同意"),
    "consent.code_refused": noted("验证码没有通过"),
    "consent.code_asked": noted("再要了一个验证码"),
    "consent.code_sent": noted("发出了验证码"),
    "consent.code_unsent": noted("验证码没能发出"),
    "consent.listed": noted("作为监护人查阅了您的同意"),
    "consent.shown": noted("查阅了一项同意"),
    "consent.receipted": noted("取走了一份同意的回执"),
    "consent.ended": noted("他人为您作出的一项同意已随其依据结束"),
    "consent.withdrawn": noted("撤回了一项同意"),
    "records.hidden": noted("隐藏了一类记录"),
    "consent.imported": noted("从其他系统登记了您的一项同意"),
    "withdrawal.unacknowledged": noted("发现一个服务没有按时确认收到您的撤回"),
    "records.unhidden": noted("重新显示了一类记录"),
    "share.given": noted("共享了一类信息"),
    "share.ended": noted("结束了一项共享"),
    "member.added": noted("为您建立了账户"),
    "guardian.linked": noted("登记了监护关系"),
    "guardian.ended": noted("结束了监护关系"),
    "assignment.made": noted("安排了负责您的员工"),
    "assignment.ended": noted("结束了一名员工对您的负责"),
    "ticket.opened": noted("为您开了一张服务工单"),
    "ticket.closed": noted("关闭了您的服务工单"),
    "profile.asked": noted("登记了家庭的要求：顾问与成员性别相同"),
    "profile.unasked": noted("取消了家庭的要求：顾问与成员性别相同"),
    "approval.asked": noted("请求批准一项与您或您的被监护人有关的操作"),
    "approval.granted": noted("作为监护人同意了一项操作"),
    "approval.cleared": noted("批准了工作人员的一项访问"),
    "approval.refused": noted("拒绝了一项操作"),
    "approval.cancelled": noted("收回了一项请求"),
    "approval.used": noted("用掉了一项已批准的请求"),
    "home.invited": noted("发出了一份加入家庭的邀请"),
    "home.joined": noted("加入了家庭"),
    "home.left": noted("离开了家庭，共享随即停止"),
    "home.removed": noted("结束了一位成年人在家庭中的共享"),
    "home.role_offered": noted("提出移交家庭主账户"),
    "home.role_taken": noted("接任了家庭主账户"),
    "home.role_claimed": noted("接任了空缺的家庭主账户"),
    "home.offer_ended": noted("收回或谢绝了一份邀请"),
    "transition.announced.14": noted("预告：您或您的被监护人将在三十天内年满十四周岁，此后由本人自己同意"),
    "transition.announced.18": noted("预告：您或您的被监护人将在三十天内年满十八周岁，监护关系届时结束"),
    "transition.reached.14": noted(
        "您或您的被监护人年满十四周岁：监护人代为作出的同意已结束，可隐藏的记录先行隐藏"
    ),
    "transition.reached.18": noted(
        "您或您的被监护人年满十八周岁：监护关系和监护人的查看已结束，可隐藏的记录先行隐藏"
    ),
    "review.read": noted("审查查看记录时看到了这一次"),
    "review.claimed": noted("开始审查一次查看"),
    "review.first.justified": noted("审查了一次查看，等待第二人"),
    "review.first.unjustified": noted("对一次查看提出异议，等待第二人"),
    "review.inquiry": noted("要求调查一次查看"),
    "review.justified": noted("认定一次查看正当"),
    "review.unjustified": noted("认定一次查看不正当"),
    "staff.linked": noted("登记了一名员工同时是这名成员"),
    "rights.requested": noted("提出了一项个人请求"),
    "rights.identified": noted("用验证码确认了一项个人请求"),
    "rights.code_refused": noted("核验个人请求时验证码没有通过"),
    "rights.revoked": noted("收回了一项个人请求"),
    "rights.fulfilled": noted("执行了一项个人请求"),
    "rights.denial_proposed": noted("提议拒绝一项个人请求，等待复核"),
    "rights.denied": noted("复核后拒绝了一项个人请求"),
    "rights.returned": noted("退回了拒绝请求的提议"),
    "rights.extended": noted("延长了一项个人请求的期限"),
    "rights.held": noted("因法定保全未能删除，已限制为仅存储"),
    "rights.read": noted("查阅了个人请求的内容"),
    "rights.exported": noted("导出了全部记录"),
    "rights.explained": noted("得到了一项决定的说明"),
    "hold.set": noted("设置了法定保全：暂不删除"),
    "hold.lifted": noted("解除了法定保全"),
    "retention.swept": noted("删除了保存期限已满的信息"),
}
_CAME: Final = {
    Effect.SHOW: noted("看到了：%(fields)s"),
    Effect.MASK: noted("只看到遮挡后的：%(fields)s"),
    Effect.EXISTS: noted("只知道有没有：%(fields)s"),
    Effect.HIDE: noted("没有看到：%(fields)s"),
}
_BECAUSE: Final = {
    Reason.NO_CONSENT: noted("您没有同意把它用于这个目的。"),
    Reason.NOT_SHARED: noted("您没有把它共享给这个人。"),
    Reason.UNCONFIRMED: noted("您的同意还没有用验证码确认。"),
    Reason.WITHDRAWN: noted("您已经撤回了同意。"),
    Reason.OBJECTED: noted("您已经反对这项处理。"),
    Reason.RESTRICTED: noted("您已经要求只存储、不使用。"),
    Reason.REFUSED_BY_PERSON: noted("您已经拒绝过。"),
    Reason.EXPIRED: noted("您的同意已经过期。"),
    Reason.NOT_SEPARATE: noted("这是敏感信息，需要您单独同意。"),
    Reason.DAILY_CAP: noted("今天发给您的推广已经够多了。"),
    Reason.CONTENT_BLOCKED: noted("这条消息的内容违反规则。"),
    Reason.CONTENT_NEEDS_REVIEW: noted("这条消息要先由人工复核。"),
    Reason.NO_RULE: noted("没有规则允许这样做。"),
    Reason.NOT_AVAILABLE: noted("没有可以提供的内容。"),
    Reason.BULK_LIMIT: noted("对方在一段时间内查看的人数已达上限。"),
    Reason.CONSENT_GIVEN: noted("您已经为这个目的单独同意。"),
    Reason.LEGAL_BASIS: noted("为履行与您的约定或法律规定所必需。"),
    Reason.RULE_ALLOWS: noted("对方的岗位规则允许。"),
    Reason.OWN_DATA: noted("这是您自己的信息。"),
    Reason.EMERGENCY_ACCESS: noted(
        "对方说明情况紧急，为保护生命健康未经您同意查看；理由已留存，由合规官审查。"
    ),
    Reason.EMERGENCY_CLAIMED: noted("对方声明情况紧急。"),
}
_WITHOUT_NEWS: Final = (Reason.MASKED_BY_RULE, Reason.EXISTENCE_ONLY, Reason.CONTENT_CLEAN)


@dataclass(frozen=True, slots=True)
class Telling:
    """What a member reads about one access, or about ``times`` alike ones between two instants."""

    at: int
    since: int
    times: int
    who: str
    via: str
    does: str
    came: tuple[str, ...]
    because: str
    purpose: str
    automatic: bool
    own: bool
    blocked: bool
    verdict: str
    tone: str
    index: int

    def alike(self, other: Telling) -> bool:
        """Say whether another access tells the same story."""
        mine = replace(self, at=0, since=0, times=1, index=0)
        return mine == replace(other, at=0, since=0, times=1, index=0)

    def and_earlier(self, other: Telling) -> Telling:
        """Return this telling with an earlier, alike one counted in."""
        return replace(self, since=other.at, times=self.times + 1)


def tell(one: Access, book: RuleBook, language: str) -> Telling:
    """Return an access as its subject reads it."""
    say = saying(language)
    nobody = one.blocked and _who(one, say) == say("一位与您无关的人")
    verdict, tone = _verdict(one, say)
    return Telling(
        at=one.at,
        since=one.at,
        times=1,
        who=_who(one, say),
        via="" if one.on_behalf_of is None else _named(one.who, say),
        does=_does(one, book, language),
        came=() if one.blocked or one.own else _came(one, book, language),
        because=say("对方与您没有关系，连您是否存在也没有告诉。") if nobody else _because(one, language),
        purpose=purpose_title(one.purpose, book, language) if one.purpose else "",
        automatic=one.automatic,
        own=one.own,
        blocked=one.blocked,
        verdict=verdict,
        tone=tone,
        index=one.index,
    )


def category_titles(categories: Collection[str], book: RuleBook, language: str) -> str:
    """Return what categories are called."""
    entries = (book.categories.get(Category(name)) for name in sorted(categories))
    return listed([in_language(entry.title, language) for entry in entries if entry is not None], language)


def notice_of(reference: str) -> str:
    """Return the id and version of the notice that was shown, without its digest."""
    return reference.partition("#")[0]


def _named(name: str, say: Say) -> str:
    if name == "self":
        return say("您自己")
    if name == "relative":
        return say("一位家人")
    if name == "stranger":
        return say("一位与您无关的人")
    return say("系统") if name == "lifecycle" else name


def _who(one: Access, say: Say) -> str:
    return _named(one.on_behalf_of or one.who, say)


def _does(one: Access, book: RuleBook, language: str) -> str:
    say = saying(language)
    if one.outcome is not None:
        return say("想给您发一条消息")
    pattern = _ACTS.get(one.action)
    if pattern is not None and one.fields:
        fields = listed([field_title(field, book, language) for field, _, _ in one.fields], language)
        return say(pattern, fields=fields)
    return say(_CHANGES.get(one.action, noted("做了一次操作")))


def _came(one: Access, book: RuleBook, language: str) -> tuple[str, ...]:
    say = saying(language)
    if one.action != "read" or len({effect for _, effect, _ in one.fields}) < 2:  # noqa: PLR2004 - alike: one word says it
        return ()
    groups: dict[Effect, list[str]] = {}
    for field, effect, _ in one.fields:
        groups.setdefault(effect, []).append(field_title(field, book, language))
    return tuple(say(_CAME[effect], fields=listed(names, language)) for effect, names in groups.items())


def _because(one: Access, language: str) -> str:
    """Return why: what stopped it, or what it rests on."""
    say = saying(language)
    stopping = [reason for _, effect, why in one.fields if effect is Effect.HIDE for reason in why]
    resting = [reason for _, effect, why in one.fields if effect is not Effect.HIDE for reason in why]
    reasons = [*one.reasons, *(stopping or resting)]
    if Reason.EMERGENCY_ACCESS in resting:
        # What an emergency opened is the news, also where something else of the same ask stayed shut.
        reasons = [*(reason for reason in resting if reason is Reason.EMERGENCY_ACCESS), *stopping]
    told = dict.fromkeys(reason for reason in reasons if reason not in _WITHOUT_NEWS)
    sentences = (say(_BECAUSE[one]) if one in _BECAUSE else one.sentence(language) for one in told)
    return (" " if language == "en" else "").join(sentences)


def _verdict(one: Access, say: Say) -> tuple[str, str]:
    if one.outcome is Outcome.HOLD:
        return say("待人工复核"), "held"
    if one.blocked:
        return say("被拦下"), "stop"
    if one.outcome is Outcome.ADMIT:
        return say("已放行"), "pass"
    effects = {effect for _, effect, _ in one.fields}
    if Effect.HIDE in effects:
        return say("部分看到"), "part"
    if Effect.MASK in effects or Effect.EXISTS in effects:
        return say("遮挡后看到"), "part"
    if one.action == "read":
        return say("看到了"), "pass"
    return say("已完成"), "pass"
