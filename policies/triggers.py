"""Why an access is put before a person: a stable word, one sentence in Chinese, one in English.

Pure words. Which of them count, how often, and until when a person must have judged is rule data
(``policies.oversight``); when one of them holds is decided by ``governance.suspecting``.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, Self


class Trigger(Enum):
    """One reason for a review with its sentences. ``Trigger.MASS_READ.value`` is ``"mass_read"``."""

    zh: str
    en: str

    def __new__(cls, code: str, zh: str, en: str) -> Self:
        """Make the code the value and keep both sentences beside it."""
        trigger = object.__new__(cls)
        trigger._value_ = code
        trigger.zh = zh
        trigger.en = en
        return trigger

    def sentence(self, language: str) -> str:
        """Return the sentence in ``"zh"`` or ``"en"``."""
        return self.en if language == "en" else self.zh

    BREAK_GLASS = (
        "break_glass",
        "紧急情况下未经同意查看。",
        "It was seen without consent, in an emergency.",
    )
    MASS_READ = (
        "mass_read",
        "同一人在短时间内查看了很多人的信息。",
        "One reader saw the data of many people in a short time.",
    )
    GUARDIAN_BYPASS = (
        "guardian_bypass",
        "工作人员查看了未成年人的信息，依据中没有监护人同意，也没有审批。",
        "Staff saw a minor's data, and neither a guardian nor an approval stands behind it.",
    )
    SELF_ACCESS = (
        "self_access",
        "工作人员查看了自己或亲属的信息。",
        "Staff saw their own data, or a relative's.",
    )
    DENIED_THEN_PERMITTED = (
        "denied_then_permitted",
        "同一项信息刚被拒绝，随后又获准查看。",
        "The same data had been denied to this reader shortly before.",
    )
    OUT_OF_HOURS = (
        "out_of_hours",
        "查看发生在工作时间以外。",
        "It was seen outside working hours.",
    )
    FIRST_ACCESS = (
        "first_access",
        "此人以前从未查看过这名成员的信息。",
        "This reader had never seen this person's data before.",
    )
    SAMPLED = ("sampled", "随机抽查。", "It was drawn as a sample.")


TRIGGERS: Final = {trigger.value: trigger for trigger in Trigger}
"""Every trigger by its code, the gravest first."""
