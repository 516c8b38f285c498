"""Find health facts that are tied to a person (个人信息保护法 第二十八条).

A disease named in general education is nobody's datum. A fact is reported when a diagnosing verb leads to it
and the clause or sentence speaks of somebody: a name, 您, 患者, 妈妈.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ahocorasick_rs import AhoCorasick

from policies.terms import EntityType
from redaction.entities import Entity

_KIND: Final = (
    r"(?:[12一二]型|原发性|慢性|急性|过敏性|支气管|先天性|重度|中度|轻度|老年|妊娠期?|早期|晚期|小儿|"
    r"双相|乳腺|肺部?|肝|胃|肠|甲状腺|宫颈|前列腺|冠状动脉|缺铁性|类风湿性?|溃疡性)*"
)
_DISEASE: Final = (
    _KIND + r"(?:糖尿病|高血压|低血压|高血脂|高脂血症|高尿酸|冠心病|心脏病|心律失常|房颤|心梗|脑梗|中风|"
    r"脑卒中|哮喘|肺炎|肺结核|结核|鼻炎|咽炎|中耳炎|胃炎|胃溃疡|肠炎|乙肝|丙肝|肝炎|肝硬化|脂肪肝|肾炎|肾结石|肾衰竭|尿毒症|痛风|关节炎|"
    r"骨质疏松|骨折|颈椎病|腰椎间盘突出|癌症|癌|肿瘤|白血病|淋巴瘤|结节|囊肿|贫血|抑郁症|抑郁|焦虑症|双相情感障碍|"
    r"精神分裂症|自闭症|多动症|癫痫|帕金森病?|阿尔茨海默病?|阿尔茨海默症|失智症|老年痴呆|艾滋病|hiv|梅毒|湿疹|荨麻疹|"
    r"银屑病|白癜风|红斑狼疮|甲亢|甲减|子宫肌瘤|多囊卵巢综合征|不孕症?|不育症?|先兆流产|流产|手足口病|水痘|流感|新冠|"
    r"白内障|青光眼|近视|弱视|耳聋|残疾|障碍|综合征|休克|过敏性休克)"
)
_DRUG: Final = (
    r"(?:二甲双胍|胰岛素|阿司匹林|氨氯地平|硝苯地平|缬沙坦|美托洛尔|他汀|阿托伐他汀|瑞舒伐他汀|华法林|氯吡格雷|"
    r"左甲状腺素|优甲乐|泼尼松|布洛芬|头孢|青霉素|阿莫西林|舍曲林|氟西汀|帕罗西汀|奥氮平|利培酮|碳酸锂|奥司他韦|"
    r"抗抑郁药|降压药|降糖药|化疗|放疗|透析)"
)
_LED: Final = re.compile(
    r"(?:患有?了?|确诊(?:为|了|患)?|诊断(?:为|出|是|结果为?|结果)?[: ]{0,2}|得了|查出(?:了|有)?|检查出|"
    rf"病史[: ]{{0,2}}|既往(?:病史)?[: ]{{0,2}}|罹患|因)(?P<v>{_DISEASE})"
    r"(?!(?:的)?(?:患者)?(?:群体|科普|知识|讲座|日))"
    r"|(?P<w>对[\u4e00-\u9fffa-z]{1,8}过敏)"
    rf"|(?:正在|长期|每天|一直|需要?|按时|开始)?(?:服用|口服|注射|接受|吃)(?P<x>{_DRUG}(?:治疗)?)"
    r"|(?P<y>怀孕[0-9一二三四五六七八九十]+(?:周|个月)|孕[0-9]{1,2}周"
    r"|(?:hiv|艾滋病毒?|乙肝|结核|梅毒|新冠|核酸)(?:抗体|抗原|检测|检查)?(?:结果)?(?:呈|为)?阳性)"
    r"|(?P<z>(?:空腹血糖|血糖|血压|心率|尿酸|血脂|体温|糖化血红蛋白|胆固醇)(?:值|为|是|测得|:)?[ ]?"
    r"[0-9]{1,3}(?:[./][0-9]{1,3})?(?:mmol/l|mmhg|次/分|umol/l|%|度|℃)?)"
    rf"|(?P<u>{_DISEASE})(?:病史|史|术后|复查|确诊)"
)
_SOMEBODY: Final = re.compile(
    r"您|你|他|她|我|患者|病人|母亲|父亲|妈|爸|爷爷|奶奶|外公|外婆|孩子|宝宝|儿子|女儿|老人|先生|女士|客户|会员|学员|家属|同学|丈夫|妻子|老公|老婆|住户|阿姨|叔叔"
)
_SENTENCE_ENDS: Final = "。!?\n;"
_SURE: Final = 0.75
_CUES: Final = AhoCorasick(
    [
        "患有",
        "患了",
        "患糖",
        "患高",
        "确诊",
        "诊断",
        "得了",
        "查出",
        "病史",
        "既往",
        "罹患",
        "过敏",
        "服用",
        "口服",
        "注射",
        "接受",
        "吃",
        "怀孕",
        "孕",
        "阳性",
        "血糖",
        "血压",
        "心率",
        "尿酸",
        "血脂",
        "体温",
        "血红",
        "胆固醇",
        "史",
        "术后",
        "复查",
        "患者",
    ]
)


def health_facts(text: str, named: Iterable[Entity]) -> list[Entity]:
    """Return what the normalised text says of somebody's health."""
    if not _CUES.find_matches_as_indexes(text):
        return []
    names = [entity.start for entity in named]
    found: list[Entity] = []
    for match in _LED.finditer(text):
        group = match.lastgroup or ""
        start, end = match.span(group)
        left = max(text.rfind(sign, 0, start) for sign in _SENTENCE_ENDS) + 1
        right = min(
            (at for at in (text.find(sign, end) for sign in _SENTENCE_ENDS) if at >= 0), default=len(text)
        )
        about_a_person = _SOMEBODY.search(text, left, right) is not None or any(
            left <= at < right for at in names
        )
        if about_a_person:
            found.append(Entity(EntityType.HEALTH, start, end, _SURE))
    return found
