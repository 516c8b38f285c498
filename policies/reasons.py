"""Every reason the service gives, once: a stable code, one sentence in Chinese, one in English.

A reason is what a caller, a member and an officer read; the code is also what the log keeps. A
sentence never contains a value, a name or anything else from the request. Reasons of a refusal
teach the next lawful step (ask the member), never the change of purpose that would open the door.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, Self


class Reason(Enum):
    """One reason code with its sentences. ``Reason.NO_CONSENT.value`` is ``"no_consent"``."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str, en: str) -> Self:
        """Make the code the value and keep both sentences beside it."""
        reason = object.__new__(cls)
        reason._value_ = code
        reason.zh = zh
        reason.en = en
        return reason

    def sentence(self, language: str) -> str:
        """Return the sentence in ``"zh"`` or ``"en"``."""
        return self.en if language == "en" else self.zh

    # --- why something is shown or admitted
    RULE_ALLOWS = ("rule_allows", "岗位规则允许。", "A role rule allows it.")
    OWN_DATA = ("own_data", "这是本人自己的信息。", "It is the person's own data.")
    CONSENT_GIVEN = (
        "consent_given",
        "本人已就此目的单独同意。",
        "The person has consented to this purpose.",
    )
    GUARDIAN_CONSENT = (
        "guardian_consent",
        "监护人已就此目的同意。",
        "A guardian has consented to this purpose.",
    )
    PRIMARY_CONSENT = (
        "primary_consent",
        "主账号已就共享的基础信息同意。",
        "The primary account has consented for shared basic data.",
    )
    LEGAL_BASIS = (
        "legal_basis",
        "依据同意以外的法定事由处理。",
        "Processing rests on a legal basis other than consent.",
    )
    EMERGENCY_ACCESS = (
        "emergency_access",
        "紧急情况下为保护生命健康，未经同意查看；理由已留存，事后由合规官审查。",
        "Seen without consent in an emergency, to protect life or health; the reason is kept for a review.",
    )
    EMERGENCY_CLAIMED = (
        "emergency_claimed",
        "请求时声明情况紧急。",
        "The request declared an emergency.",
    )
    APPROVED = (
        "approved",
        "已经过审批。",
        "It has been approved.",
    )
    MASKED_BY_RULE = (
        "masked_by_rule",
        "规则只允许查看脱敏后的内容。",
        "The rule allows the masked form only.",
    )
    EXISTENCE_ONLY = (
        "existence_only",
        "规则只允许知道是否存在，不显示内容。",
        "The rule admits that a value exists and withholds it.",
    )

    # --- why something is withheld
    NO_RULE = ("no_rule", "没有规则允许这次访问。", "No rule allows this access.")
    DENIED_BY_RULE = ("denied_by_rule", "有规则禁止这次访问。", "A rule forbids this access.")
    NOT_AVAILABLE = ("not_available", "没有可提供的内容。", "There is nothing to show.")
    NO_CONSENT = (
        "no_consent",
        "本人尚未就此目的同意；可以向本人征求同意。",
        "The person has not consented to this purpose; ask the person.",
    )
    NOT_SHARED = (
        "not_shared",
        "本人没有把这类信息共享给您；可以向本人提出。",
        "The person does not share this with you; ask the person.",
    )
    UNCONFIRMED = (
        "unconfirmed",
        "同意还没有完成二次确认。",
        "The consent has not been confirmed yet.",
    )
    WITHDRAWN = ("withdrawn", "本人已撤回同意。", "The person has withdrawn consent.")
    REVOKED = ("revoked", "监护人已撤回同意。", "A guardian has revoked the consent.")
    OBJECTED = ("objected", "本人已反对这项处理。", "The person has objected to this processing.")
    RESTRICTED = (
        "restricted",
        "本人已要求限制处理，只可存储。",
        "The person has restricted processing to storage.",
    )
    GUARDIAN_REQUIRED = (
        "guardian_required",
        "还需要监护人同意。",
        "A guardian must consent as well.",
    )
    REFUSED_BY_PERSON = ("refused_by_person", "本人已拒绝。", "The person has refused.")
    EXPIRED = ("expired", "同意已过期。", "The consent has expired.")
    NOT_SEPARATE = (
        "not_separate",
        "敏感信息需要单独同意。",
        "Sensitive data needs a separate consent.",
    )
    NO_AUTHORITY = (
        "no_authority",
        "给出同意的人无权代为同意。",
        "Whoever consented had no authority to do so.",
    )
    AGE_UNKNOWN = ("age_unknown", "无法确认年龄，按未成年人保护处理。", "The age is unknown.")
    AGE_TRANSITION = (
        "age_transition",
        "已满十四周岁，需要本人重新同意。",
        "The person has turned 14 and must consent in person.",
    )
    MINOR_PROTECTED = (
        "minor_protected",
        "法律禁止对未成年人这样做。",
        "The law forbids this towards minors.",
    )
    COMMS_SECRECY = (
        "comms_secrecy",
        "通信内容不向他人开放。",
        "Communications are closed to everybody else.",
    )
    SUBJECT_CLOSED = ("subject_closed", "该主体已注销。", "The subject is closed.")
    RECIPIENT_NOT_COVERED = (
        "recipient_not_covered",
        "同意不包括这个接收方。",
        "The consent does not cover this recipient.",
    )
    CROSS_BORDER_NOT_COVERED = (
        "cross_border_not_covered",
        "同意不包括向境外提供。",
        "The consent does not cover a transfer abroad.",
    )
    NOTICE_SUPERSEDED = (
        "notice_superseded",
        "告知内容已有重大变更，需要重新同意。",
        "The notice has changed materially; the person must be asked anew.",
    )
    NOTICE_MISMATCH = (
        "notice_mismatch",
        "同意所依据的告知内容并未发布过。",
        "The consent names a notice that was never published.",
    )
    UNKNOWN_PURPOSE = ("unknown_purpose", "规则中没有这个目的。", "The purpose is not declared.")
    UNKNOWN_CATEGORY = ("unknown_category", "规则中没有这个数据类别。", "The category is not declared.")
    UNKNOWN_FIELD = ("unknown_field", "规则中没有这个字段。", "The field is not declared.")
    FACTS_UNAVAILABLE = (
        "facts_unavailable",
        "判断所需的事实无法取得，按拒绝处理。",
        "A fact needed to decide is unavailable, so it is withheld.",
    )
    BULK_LIMIT = (
        "bulk_limit",
        "一段时间内查看的人数已达上限；请稍后再试，或请主管批准临时提高上限。",
        "You have seen as many people as you may for now; try later, or ask a supervisor for a higher limit.",
    )
    NO_BASIS_TO_COLLECT = (
        "no_basis_to_collect",
        "没有收集该信息的依据。",
        "There is no basis for collecting this data.",
    )

    # --- messages
    ROLE_MAY_NOT_SEND = (
        "role_may_not_send",
        "该发送方无权以此目的向此人发送。",
        "This sender may not write to this person for this purpose.",
    )
    RECIPIENT_UNAVAILABLE = (
        "recipient_unavailable",
        "无法向该收件人发送。",
        "This recipient cannot be written to.",
    )
    DAILY_CAP = (
        "daily_cap",
        "今天发给此人的推广已达上限。",
        "This person has had today's full number of promotional messages.",
    )
    CONTENT_BLOCKED = (
        "content_blocked",
        "内容违反规则，不得发送。",
        "The content breaks a rule and must not be sent.",
    )
    CONTENT_NEEDS_REVIEW = (
        "content_needs_review",
        "内容需要人工复核。",
        "The content needs human review.",
    )
    CONTENT_CLEAN = ("content_clean", "内容检查未发现问题。", "Screening found nothing.")


REASONS: Final[Mapping[str, Reason]] = {reason.value: reason for reason in Reason}
"""Every reason by its code."""
