"""Find names of natural persons: a surname, the segmenter's tags, and the words around.

A name is reported when its company says so (姓名：, 客户, 女士) or when the segmenter takes three or four signs that
begin with a surname for a name. Everyday words that begin with a surname (高兴, 方便, 黄金周), brands and places
are left alone. Without a model this finds the plain cases; it promises no more.
"""

from __future__ import annotations

import re
from typing import Final

from policies.terms import EntityType
from redaction.entities import Entity
from redaction.words import tagged

_SURNAMES: Final = frozenset(
    "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧程曹袁邓许傅沈曾彭吕苏卢蒋蔡贾丁魏薛叶阎余潘杜戴夏钟汪田任姜"
    "范方石姚谭廖邹熊金陆郝孔白崔康毛邱秦江史顾侯邵孟龙万段雷钱汤尹黎易常武乔贺赖龚文庞樊兰殷施陶洪翟安颜倪严牛温芦季俞章鲁葛"
    "伍韦申尤毕聂丛焦向柳邢路岳齐沿梅莫庄辛管祝左涂谷祁时舒耿牟卜詹关苗凌费纪靳盛童欧甄项曲成游阳裴席卫查屈鲍位覃霍翁隋植甘景"
    "薄单包司柏宁柯阮桂闵解强柴华车冉房边辜吉饶刁瞿戚丘古米池滕晋苑邬臧畅宫来嵺苟全褚廉简娄盖符奚木穆党燕郎邸冀谈姬屠连郜晏"
    "栾郁商蒙计喻揭窦迟宇敖糜鄢冷卓花仇艾蓝都巩稽井练仲乐虞卞封竺冼原官衣楚佟栗匡宗应台巫鞠僧桑荆谌银扬明沙薄伏岑习胥保和蔺"
)
_COMPOUND: Final = (
    "欧阳|司马|上官|诸葛|东方|皇甫|尉迟|公孙|慕容|令狐|长孙|宇文|司徒|端木|夏侯|闻人|申屠|轩辕|钟离|鲜于|司空|南宫|呼延|独孤|拓跋|完颜|纳兰|赫连"
)
_NOT_NAMES: Final = frozenset(
    "高兴 方便 马上 黄金 黄金周 谢谢 多谢 和谐 安全 安心 平安 安康 康复 健康 温馨 温暖 明天 明日 明年 时间 时候 时尚 时光 全家 全部 全程 全新 全国 "
    "成功 成长 成为 成分 花费 花园 花样 包装 包邮 包括 包含 包裹 关注 关于 关闭 关爱 关怀 白金 白银 白酒 金额 金币 金卡 金牌 华为 华夏 华润 "
    "李宁 王老吉 老干妈 周黑鸭 周生生 周大福 马应龙 张裕 王者荣耀 陈皮 陈醋 江苏 江西 江南 江北 石家庄 石油 石榴 云南 云端 高清 高端 高铁 高温 "
    "高考 高原 高峰 高新 高效 方案 方式 方向 方法 方面 常见 常规 常温 常用 强力 强烈 强身 万一 万达 万科 万元 万岁 项目 项链 路线 路口 路由 "
    "向日葵 向导 张贴 张望 宝贝 宝宝 宝马 小朋友 任何 任务 任意 于是 何时 何处 何种 程度 程序 许多 许可 余额 余下 易碎 易用 易购 严格 严重 严禁 "
    "单独 单位 单品 单价 单次 计划 计算 计费 房间 房屋 房产 车辆 车主 车间 车位 原价 原因 原味 商家 商品 商城 商场 商户 官方 官网 双方 应急 应用 "
    "应当 都有 都是 都会 费用 费率 解决 解释 解读 查询 查看 查收 查验 连续 连接 连锁 简单 简介 简约 盛大 盛夏 盛典 祝您 祝福 祝愿 祝贺 阳台 阳光 阳春 "
    "古法 古城 古树 古镇 米饭 米粉 米其林 池塘 席位 席卷 位置 位于 向您 来自 来电 来访 来店 和平 和您 保持 保护 保证 保险 保养 保湿 保洁 保修 保鲜 保健 "
    "文化 文明 文件 文字 文具 武汉 武夷 温州 温度 温泉 温水 毛巾 毛衣 毛利 牛奶 牛肉 牛油果 苗条 苗木 梅花 梅雨 梅干菜 荷花 桂花 桂圆 桂林 葛根 葛粉 "
    "丁香 兰花 洪水 贝贝 康师傅 康宁 康乃馨 甘肃 甘甜 甘蔗 甘草 乐园 乐趣 乐意 乐享 燕窝 燕麦 燕京 海尔 连衣裙 蓝牙 蓝天 蓝色 蓝莓 冷冻 冷藏 冷饮 冷链 "
    "全麦 全棉 全款 全额 游泳 游戏 游客 游玩 游乐园 项下 景区 景点 景观 景德镇 齐全 龙井 龙虾 龙卡 龙眼 龙湖 龙头 龙腾 金秋 金融 金属 金华 金龙鱼 "
    "谷物 谷歌 谷雨 夏季 夏天 夏日 夏威夷 夏令营 夏凉被 秦皇岛 秦岭 唐山 唐装 徐州 徐汇 徐家汇 郑州 郑重 郑东 杭州 苏州 苏宁 苏打 苏打水 苏泊尔 许昌 "
    "常州 常德 常熟 宁波 宁夏 宁静 沙发 沙滩 沙拉 沙特 童装 童年 童鞋 童话 童车 舒适 舒服 舒缓 舒心 舒克 舒肤佳 白云 白菜 白色 白天 白领 白粥 史上 "
    "史无前例 尤其 毕业 毕竟 毕生 向阳 成都 成人 成员 成品 成绩 成熟 成立 季节 季度 季卡 管理 管家 管道 管控 左右 左岸 左侧 申请 申报 申领 申诉 严选 "
    "喻示 车险 车厘子 封面 封装 强制 强烈建议 房贷 解锁 解约 广大 尊敬 亲爱 爱奇艺 安慕希 安佳 安踏 安居客 安利 马应 马拉松 马桶 马铃薯 雷达 雷阵雨 "
    "雷雨 汤圆 汤臣倍健 易方达 曾经 叶酸 叶片 叶黄素 胡萝卜 胡椒 胡同 朱古力 林荫 林间 高山 罗汉果 罗马 罗莱 梁山 宋体 韩国 韩式 唐朝 曹操 邓小平 于此 "
    "于您 于明 江小白 万圣节 万家 元宵 顾问 顾客 顾家 邵阳 孟婆 和田 康泰 段落 段位 钱包 钱款 贺卡 贺岁 贺新年 方太 方特 任选 任性 范围 范例 石材 金桂 金桥 路上 岳阳 华东 华南 华北 明早 明晚 明确 明细 明星 明亮".split()
)
_TITLES: Final = (
    "先生|女士|小姐|太太|老师|医生|大夫|护士|师傅|经理|主任|教授|阿姨|叔叔|伯伯|大爷|大妈|奶奶|爷爷|同学|小朋友|宝宝|会员|同志|律师|店长|总监|顾客|客户|业主|老人|患者"
)
_LABELS: Final = (
    r"(?:姓名|真实姓名|联系人|收件人|收货人|寄件人|经办人|申请人|投保人|被保险人|受益人|持卡人|户主|监护人|家长|患者|病人|学员|学生|客户|顾客|会员|业主|用户|住户|租客|房东|乘客|"
    r"旅客|宝宝|孩子|女儿|儿子|妻子|丈夫|母亲|父亲|员工|同事|负责人|护理员|保姆|月嫂|阿姨|骑手|快递员|司机|我是|我叫|名叫|叫做|署名|签收人|预约人|就诊人|入住人)"
)
_LABELLED: Final = re.compile(
    rf"{_LABELS}(?:名字|姓名)?[ ]?(?:[:]|为|是|叫)?[ ]?(?P<v>(?:{_COMPOUND})[\u4e00-\u9fff]{{1,2}}|[\u4e00-\u9fff]{{2,3}})"
    rf"(?=$|[ ,，。.;!?:、()\[\]\n0-9a-z*]|{_TITLES}|已|的|于|您|与|和|及|在|，)"
)
_COMPOUND_NAME: Final = re.compile(rf"(?:{_COMPOUND})[\u4e00-\u9fff]{{1,2}}(?=$|[ ,。;!?:、()\n0-9]|{_TITLES}|已|的|您)")
_TITLE_AHEAD: Final = re.compile(_TITLES)
_LABEL_BEHIND: Final = re.compile(_LABELS + r"[ ]?(?:[:]|为|是|叫)?[ ]?$")
_NAME_TAGS: Final = frozenset({"nr", "nrt", "nrfg", "nrj"})
_SHORTEST: Final = 2
_SURE: Final = 0.85
_LIKELY: Final = 0.6
_REACH: Final = 8


def people(text: str) -> list[Entity]:
    """Return the names in the normalised text."""
    found: dict[tuple[int, int], float] = {}
    if _maybe_compound(text):
        for match in _COMPOUND_NAME.finditer(text):
            found[match.span()] = _LIKELY
    at = 0
    pieces = tagged(text)
    for place, (word, tag) in enumerate(pieces):
        start, at = at, at + len(word)
        if tag not in _NAME_TAGS or word[0] not in _SURNAMES:
            continue
        end = at
        if len(word) == 1 and place + 1 < len(pieces):
            follower = pieces[place + 1][0]
            if not _is_given_name(follower, pieces[place + 1][1]):
                continue
            end = at + len(follower)
        name = text[start:end]
        if not _SHORTEST <= len(name) <= 4 or name in _NOT_NAMES or name[:2] in _NOT_NAMES:
            continue
        in_company = (
            _TITLE_AHEAD.match(text, end) is not None
            or _LABEL_BEHIND.search(text, max(0, start - _REACH), start) is not None
        )
        if in_company:
            found[start, end] = _SURE
        elif len(name) > _SHORTEST:
            found[start, end] = _LIKELY
    for match in _LABELLED.finditer(text):
        name = match["v"]
        if (name[0] in _SURNAMES or re.match(_COMPOUND, name)) and name not in _NOT_NAMES and name[:2] not in _NOT_NAMES:
            if re.fullmatch(rf".(?:{_TITLES})", name) is None:
                found[match.span("v")] = _SURE + 0.05
    return [Entity(EntityType.PERSON, start, end, score) for (start, end), score in found.items()]


def _maybe_compound(text: str) -> bool:
    return re.search(_COMPOUND, text) is not None


def _is_given_name(word: str, tag: str) -> bool:
    return len(word) <= _SHORTEST and tag.startswith(("nr", "nz")) and re.fullmatch(_TITLES, word) is None
