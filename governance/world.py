"""The world of demo and tests: household 张家, the people around it, and the services that ask.

Everybody here is invented. Mobile numbers use prefixes that were never issued, identity numbers a region
code that does not exist (with valid check digits, so that the real finders work on them), e-mail the
reserved example domains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from consent.notices import Contents, Draft, Wording
from policies.identifiers import Prefix
from policies.terms import FieldName, Gender, Role

_EPOCH_MS: Final = 0x019A_0000_0000


def fixed_id(prefix: Prefix, name: str) -> str:
    """Return the id that a name has in every seeded world: a well-formed UUIDv7, the same each time."""
    digits = sha256(f"{prefix}{name}".encode()).hexdigest()
    stamp = f"{_EPOCH_MS:012x}"
    return f"{prefix}{stamp[:8]}-{stamp[8:]}-7{digits[:3]}-8{digits[3:6]}-{digits[6:18]}"


@dataclass(frozen=True, slots=True)
class Person:
    """A member: who lives where, in which roles, with which values.

    The gender is written like any value; it stands apart because its word is no secret one could look for.
    """

    key: str
    roles: tuple[Role, ...]
    values: Mapping[FieldName, str]
    gender: Gender | None = None

    @property
    def id(self) -> str:
        """The member id."""
        return fixed_id(Prefix.MEMBER, self.key)


@dataclass(frozen=True, slots=True)
class Home:
    """A household: shared values, members, and whether it asks for advisors of each member's gender."""

    key: str
    values: Mapping[FieldName, str]
    members: tuple[Person, ...]
    asks_same_gender: bool = False

    @property
    def id(self) -> str:
        """The household id."""
        return fixed_id(Prefix.HOUSEHOLD, self.key)


@dataclass(frozen=True, slots=True)
class Office:
    """A service or a member of staff, with the roles held everywhere."""

    key: str
    prefix: Prefix
    label: str
    roles: tuple[Role, ...] = ()
    scopes: tuple[str, ...] = ()
    gender: Gender | None = None

    @property
    def id(self) -> str:
        """The actor id."""
        return fixed_id(self.prefix, self.key)


def _values(**values: str) -> Mapping[FieldName, str]:
    return {FieldName(name): value for name, value in values.items()}


def _roles(*roles: str) -> tuple[Role, ...]:
    return tuple(map(Role, roles))


GRANDMOTHER: Final = Person(
    "grandmother",
    _roles("elder"),
    _values(
        name="王桂兰",
        mobile="15400001001",
        birth_date="1951-03-08",
        id_card="990000195103080026",
        blood_pressure="148/92 mmHg，2026-11-20 早",
        allergies="青霉素过敏",
        viewing_history="戏曲《锁麟囊》；养生讲座第三期",
    ),
    Gender.FEMALE,
)
ZHANG_LI: Final = Person(
    "zhang_li",
    _roles("primary_account"),
    _values(
        name="张丽",
        mobile="15400001002",
        email="zhangli@example.com",
        birth_date="1986-05-17",
        id_card="990000198605170025",
        bank_card="6299990000001239",
        location="31.2304,121.4737",
        blood_pressure="118/76 mmHg，2026-11-18 晚",
        purchase_history="儿童绘本；家用血压计",
        chat_messages="周末带妈去复查，别忘了带病历",
    ),
    Gender.FEMALE,
)
LI_QIANG: Final = Person(
    "li_qiang",
    _roles("adult_member"),
    _values(
        name="李强",
        mobile="15400001003",
        email="liqiang@example.com",
        birth_date="1984-11-02",
        blood_pressure="131/85 mmHg，2026-11-19 早",
        viewing_history="登山纪录片；夜跑装备测评",
        purchase_history="跑鞋；无线耳机",
    ),
    Gender.MALE,
)
XIAO_MAN: Final = Person(
    "xiao_man",
    _roles("minor_member"),
    _values(
        name="李小满",
        mobile="15400001004",
        birth_date="2017-05-21",
        viewing_history="《小猪的夏天》第五集",
    ),
    Gender.FEMALE,
)
ZHOU_MING: Final = Person(
    "zhou_ming",
    _roles("primary_account"),
    _values(name="周明", mobile="15400002001", birth_date="1990-01-30", allergies="花粉过敏"),
)
ZHANG_HOME: Final = Home(
    "zhang",
    _values(address="上海市静安区测试路88号3栋502室", household_structure="三代同住：祖母、夫妻、一个孩子"),
    (ZHANG_LI, LI_QIANG, GRANDMOTHER, XIAO_MAN),
    asks_same_gender=True,
)
ZHOU_HOME: Final = Home("zhou", _values(address="杭州市西湖区样例街1号"), (ZHOU_MING,))
HOMES: Final = (ZHANG_HOME, ZHOU_HOME)

WANG_MIN: Final = Office("wang_min", Prefix.STAFF, "客服 王敏", gender=Gender.FEMALE)
DOCTOR_CHEN: Final = Office("doctor_chen", Prefix.STAFF, "陈医生", gender=Gender.MALE)
SUN_YUE: Final = Office("sun_yue", Prefix.STAFF, "家庭顾问 孙悦", gender=Gender.FEMALE)
LIU_YANG: Final = Office("liu_yang", Prefix.STAFF, "家庭顾问 刘洋", gender=Gender.MALE)
OFFICER: Final = Office("officer", Prefix.STAFF, "合规官 赵宁", _roles("compliance_officer"))
AUDITOR: Final = Office("auditor", Prefix.STAFF, "审计员 钱岚", _roles("auditor"))
PRIVACY_ADMIN: Final = Office("privacy_admin", Prefix.STAFF, "个人信息保护专员 孙越", _roles("privacy_admin"))
STAFF: Final = (WANG_MIN, DOCTOR_CHEN, SUN_YUE, LIU_YANG, OFFICER, AUDITOR, PRIVACY_ADMIN)

CRM: Final = Office(
    "crm",
    Prefix.SERVICE,
    "客户关系系统",
    _roles("crm"),
    (
        "reads",
        "checks",
        "lookups",
        "searches",
        "writes",
        "graph",
        "consents",
        "notices",
        "on_behalf",
        "redactions",
        "events",
    ),
)
SENDER: Final = Office(
    "sender",
    Prefix.SERVICE,
    "推广发送系统",
    _roles("sender"),
    ("messages", "screenings", "redactions", "checks"),
)
GATEWAY: Final = Office(
    "gateway", Prefix.SERVICE, "短信网关", _roles("sending_gateway"), ("permits", "inbound")
)
SERVICES: Final = (CRM, SENDER, GATEWAY)

ASSIGNMENTS: Final[Sequence[tuple[Person | Home, Office, str]]] = (
    (ZHANG_HOME, WANG_MIN, "agent"),
    (ZHANG_LI, WANG_MIN, "agent"),
    (LI_QIANG, WANG_MIN, "agent"),
    (GRANDMOTHER, WANG_MIN, "agent"),
    (GRANDMOTHER, DOCTOR_CHEN, "clinician"),
    (ZHANG_LI, DOCTOR_CHEN, "clinician"),
    (ZHANG_LI, SUN_YUE, "advisor"),
    (ZHANG_LI, LIU_YANG, "advisor"),
)
GUARDIANS: Final[Sequence[tuple[Person, Person]]] = ((XIAO_MAN, ZHANG_LI), (XIAO_MAN, LI_QIANG))


def _notice(purpose: str, categories: str, methods: str, days: int, zh: Wording, en: Wording) -> Draft:
    contents = Contents(
        purpose=purpose,
        categories=frozenset(categories.split()),
        methods=frozenset(methods.split()),
        recipients=frozenset(),
        processors=frozenset(),
        retention_days=days,
        region="cn",
    )
    return Draft(purpose, contents, {"zh": zh, "en": en})


NOTICES: Final = (
    _notice(
        "service.health",
        "health.record identity.name",
        "collect store use",
        1_095,
        Wording(
            "健康服务告知",
            "我们为您提供健康服务，需要处理您的健康记录和姓名。数据保存在中国境内，最长三年。"
            "您可以随时撤回，撤回不影响其他服务。",
        ),
        Wording(
            "About the health service",
            "To serve your health we use your health records and your name. They are kept in mainland China, "
            "for three years at most. You may withdraw at any time; other services do not change.",
        ),
    ),
    _notice(
        "family.care",
        "health.record",
        "use provide",
        365,
        Wording("亲属照护告知", "您同意您指名的家人查看您的健康记录，以便照护。您可以随时停止。"),
        Wording(
            "About care by relatives",
            "You let the relatives whom you name see your health records so that they can care for you. "
            "Stop it at any time.",
        ),
    ),
    _notice(
        "marketing.direct",
        "outreach.sms",
        "use transmit",
        365,
        Wording("推广信息告知", "您同意我们用短信向您发送推广信息，每天不超过五条，可随时退订。"),
        Wording(
            "About promotional messages",
            "You let us send you promotional messages by SMS, five a day at most. Unsubscribe at any time.",
        ),
    ),
)
"""What the people of the world are told before they agree; each under the name of its purpose."""
