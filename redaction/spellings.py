"""Other ways to write the same sign: the tables behind ``redaction.normalise``.

Only facts, no rule. ``PLAIN`` replaces a sign for good (a traditional form, a capital numeral, a Cyrillic
letter that looks Latin). ``SUSPECT`` and ``SYLLABLES`` are guesses (a homophone, a look-alike, pinyin between
Chinese signs): they are tried beside the text, never instead of it, because real words contain them too.
"""

from __future__ import annotations

from typing import Final

_TRADITIONAL: Final = (
    "國国級级絕绝對对無无僅仅銷销頂顶極极優优選选藥药療疗癒愈醫医證证書书賣卖買买價价錢钱點点領领轉转發发群群"
    "讚赞贊赞減减體体驗验專专業业權权獎奖勵励還还報报賠赔償偿險险資资產产財财賺赚穩稳貸贷款款債债務务銀银"
    "行行帳账號号碼码驗验碼码電电話话聯联繫系係系網网絡络頁页連连結结鏈链關关閉闭註注冊册訊讯訂订閱阅單单"
    "個个們们來来時时間间歲岁兒儿嬰婴媽妈爺爷親亲屬属師师學学習习試试題题題题過过進进運运動动員员會会議议"
    "門门開开問问聞闻聽听說说話话語语讀读寫写記记錄录認认識识該该請请謝谢詐诈騙骗謊谎誘诱導导誤误譽誉護护"
    "變变讓让賓宾賴赖質质購购貨货費费貼贴貴贵賢贤賽赛贈赠贏赢費费車车軍军輕轻輸输達达遠远違违適适遺遗還还"
    "邊边鄉乡鄰邻醜丑釋释鐘钟鐵铁鋪铺錯错鎖锁鍵键鏡镜長长隊队陽阳階阶際际陸陆陰阴隨随險险隱隐雙双雜杂離离"
    "難难雲云霧雾靈灵靜静響响順顺須须預预頭头頻频題题額额顏颜願愿類类顧顾顯显風风飛飞飯饭飲饮館馆養养餘余"
    "馬马駕驾騎骑騙骗驚惊驅驱驟骤鬆松魚鱼鮮鲜鳥鸟鹽盐麥麦麗丽麼么黃黄黨党齊齐齡龄齒齿龍龙龜龟東东兩两嚴严"
    "喪丧豐丰臨临為为義义烏乌樂乐喬乔習习書书亂乱爭争虧亏亞亚億亿價价眾众優优傳传傷伤倫伦偽伪體体傭佣俠侠"
    "儘尽盡尽償偿儲储黨党興兴養养獸兽內内冊册寫写軍军農农馮冯衝冲決决況况凍冻淨净準准涼凉減减湊凑凱凯別别"
    "刪删則则剛刚創创劃划劇剧劍剑劉刘勁劲勞劳勢势勝胜勳勋匯汇區区華华協协單单壓压厭厌參参雙双發发變变敘叙"
    "臺台台台葉叶號号嘆叹嚇吓嗎吗啟启吳吴員员園园圍围圓圆圖图團团聖圣場场壞坏塊块堅坚壇坛墳坟墮堕聲声壯壮"
    "處处備备復复複复夠够奪夺奮奋婦妇孫孙寧宁寶宝實实審审憲宪宮宫寬宽屆届層层嶺岭島岛幣币帥帅師师帶带幫帮"
    "幹干乾干廠厂廣广慶庆應应廟庙廢废彎弯張张強强當当徹彻從从徵征憶忆懷怀態态總总戀恋惡恶悶闷惱恼慘惨懲惩"
    "戰战戲戏戶户拋抛挾挟捨舍掃扫揀拣換换損损搖摇搶抢摳抠擁拥擇择擊击擋挡擔担據据擠挤擴扩擺摆擾扰攝摄攜携"
    "敗败敵敌數数斷断於于舊旧曆历歷历曉晓術术機机權权條条楊杨極极樓楼標标樣样橋桥檢检檔档櫃柜歡欢歐欧殘残"
    "殺杀氣气漢汉沒没湯汤溝沟濟济濃浓濕湿灣湾滅灭滿满漲涨潔洁潛潜瀏浏煙烟煩烦熱热燈灯燒烧爐炉爛烂爾尔牆墙"
    "狀状獨独獲获環环現现瑪玛電电畫画畢毕療疗瘋疯瘡疮癌癌癥症癮瘾皺皱盤盘監监盜盗眼眼睜睁瞭了矯矫礎础禮礼"
    "祿禄禍祸禁禁種种稱称積积穫获窮穷競竞筆笔節节範范築筑簡简籌筹籤签簽签糧粮紀纪約约紅红純纯紙纸級级細细"
    "紹绍終终組组結结絡络給给統统絲丝經经綁绑綜综綠绿維维緊紧線线練练緩缓編编緣缘縮缩績绩繁繁織织繞绕繳缴"
    "繼继續续纖纤罰罚羅罗職职肅肃腎肾腫肿腦脑腸肠膚肤膠胶膽胆臉脸臟脏艱艰藝艺節节蘇苏莊庄蓋盖蓮莲蔣蒋薦荐"
    "薩萨藍蓝虛虚蟲虫補补製制裝装裡里裏里襲袭見见規规視视覺觉覽览觀观觸触計计訂订討讨訓训託托訪访設设許许"
    "訴诉診诊詞词評评詢询試试詩诗誠诚課课調调談谈論论諮咨諾诺謀谋講讲證证譯译警警貝贝負负貢贡責责販贩貧贫"
    "貪贪貫贯賀贺賄贿資资賦赋賬账趕赶趙赵趨趋跡迹踐践躍跃軟软較较載载輔辅輛辆輪轮輯辑辦办辭辞農农這这"
    "週周遊游選选遲迟遷迁邀邀郵邮鄭郑鄧邓醬酱釀酿針针釣钓鈔钞鈕钮鉛铅銅铜鋼钢錄录錢钱錦锦鎮镇鏟铲鑒鉴鑑鉴"
    "閒闲閱阅闆板陣阵陳陈雞鸡霸霸韓韩韻韵項项頌颂頓顿領领頸颈顆颗顛颠颱台飄飘飽饱餅饼餐餐餓饿騰腾驕骄骨骨"
    "髒脏體体鬧闹鬥斗魯鲁鷹鹰麵面黴霉點点鼠鼠爲为衛卫羣群啓启竈灶峯峰牀床裏里僞伪凈净並并佔占佈布係系傢家"
    "効效価价薬药発发楽乐気气売卖転转帰归栄荣経经験验険险関关営营検检権权駅驿戦战総总応应図图団团児儿実实対对収收変变悪恶拡扩済济髙高緑绿黒黑県县呉吴歩步"
    "歸归傾倾僱雇喚唤嘗尝噴喷嚮向塗涂夢梦奧奥娛娱嬌娇寵宠將将尋寻屍尸幾几庫库廳厅彈弹後后悅悦慮虑憂忧懸悬捲卷撥拨擬拟攤摊攔拦攬揽斂敛晝昼暈晕暢畅"
    "棄弃棟栋棧栈槍枪檻槛欄栏毀毁淚泪測测渦涡漸渐濾滤濫滥瀉泻灑洒災灾燙烫營营牽牵犧牺猶犹獻献瓊琼畝亩疊叠癢痒盃杯睏困確确碩硕祕秘禦御稟禀穀谷竊窃"
    "筍笋糾纠紗纱紛纷紮扎絨绒綢绸綱纲緻致縣县縱纵罷罢羨羡翹翘聰聪脈脉腳脚膩腻舉举艷艳葷荤蒼苍蔥葱薑姜蘋苹蘭兰蝦虾蠟蜡衆众褲裤詳详誇夸誰谁諒谅謠谣"
    "豬猪貓猫貿贸踴踊軌轨輩辈輻辐轟轰逕径遞递遼辽釘钉鈉钠鈣钙銳锐鋒锋鍋锅鑽钻閃闪閥阀闊阔闖闯隻只雖虽靚靓鞏巩頒颁頗颇顫颤飾饰飼饲駐驻駛驶驛驿鴨鸭"
    "鴻鸿鹼碱齋斋檸柠滲渗緒绪暫暂謹谨誌志値值産产説说脫脱稅税絶绝勗勖癒愈痺痹嚐尝汙污洩泄"
)

_NUMERALS: Final = "壹一贰二貳二叁三參三肆四柒七捌八玖九拾十佰百仟千萬万億亿〇零兩两廿二"
_LATIN_TWINS: Final = "аaвbеeкkмmнhоoрpсcтtуyхxіiјjѕsԁdԛqԝwαaβbεeκkοoρpτtυuχxνvιiɑaɡgıiℓlｖvⅴvⅵw"

_WORDS_KEEP: Final = frozenset("乾")
"""Signs that are common simplified words by themselves and so are not replaced for good (乾隆, 乾坤)."""


def _pairs(joined: str) -> dict[str, str]:
    return {joined[i]: joined[i + 1] for i in range(0, len(joined), 2) if joined[i] != joined[i + 1]}


PLAIN: Final[dict[str, str]] = {
    **{sign: plain for sign, plain in _pairs(_TRADITIONAL).items() if sign not in _WORDS_KEEP},
    **_pairs(_NUMERALS),
    **_pairs(_LATIN_TWINS),
    **{chr(0x1F130 + i): chr(0x61 + i) for i in range(26)},
    **{chr(0x1F150 + i): chr(0x61 + i) for i in range(26)},
    **{chr(0x1F170 + i): chr(0x61 + i) for i in range(26)},
    **{chr(0x1F1E6 + i): chr(0x61 + i) for i in range(26)},
    **{chr(0x24EB + i): str(11 + i) for i in range(10)},
    **{chr(0x2776 + i): str(1 + i) for i in range(10)},
    "\N{DINGBAT NEGATIVE CIRCLED SANS-SERIF DIGIT ONE}": "1",
    "\N{VICTORY HAND}": "v",
    "\N{NEGATIVE SQUARED AB}": "ab",
    "\N{HUNDRED POINTS SYMBOL}": "100",
    "朂": "最",
    "冣": "最",
    "㝡": "最",
    "囯": "国",
    "囻": "国",
    "囶": "国",
    "菅": "管",
    "苐": "第",
}
"""One sign to its plain spelling, always."""

_SUSPECTS: Final = {
    "最": "罪醉嘴蕞樶",
    "第": "弟帝蒂缔递苐",
    "一": "壹①",
    "绝": "觉决诀",
    "佳": "嘉",
    "顶": "鼎订",
    "级": "极己急吸及",
    "微": "卫薇徽威围维未魏巍",
    "信": "芯心新讯",
    "群": "裙峮郡君帬",
    "赔": "陪培",
    "发": "伐",
    "赚": "转撰",
    "稳": "吻",
    "癌": "癍嵒岩矮",
    "治": "冶制至志",
    "愈": "遇玉育喻预",
    "疗": "辽聊",
    "根": "跟艮",
    "药": "葯钥要",
    "糖": "搪唐",
    "尿": "鸟",
    "病": "炳",
    "降": "绛",
    "国": "蝈過郭",
    "家": "傢加",
    "唯": "惟帷",
    "首": "手守",
    "价": "介",
    "低": "底氐",
    "全": "泉荃",
    "网": "往",
    "保": "宝堡煲",
    "本": "夲",
    "收": "収",
    "益": "溢",
    "金": "淦",
    "币": "比",
    "分": "份",
    "享": "响",
    "朋": "棚",
    "友": "右",
    "圈": "券",
    "赞": "攒",
    "领": "令",
    "钱": "米",
    "免": "勉",
    "费": "废",
    "退": "腿",
    "证": "正",
    "过": "国",
    "高": "膏咼",
    "效": "笑",
    "瘦": "受",
    "减": "碱",
    "肥": "淝",
    "抗": "忼",
    "烟": "咽",
    "特": "恃",
    "供": "贡",
    "品": "晶",
    "牌": "排",
    "百": "佰柏",
    "加": "伽嘉咖佳",
    "好": "恏",
    "妈": "马",
    "爸": "霸",
    "痊": "诠",
    "根治": "",
}
"""A sign of the rules to the signs that advertisers write instead of it."""

_BROAD: Final = frozenset(
    "决觉及己急吸未心新讯君要介底手守加往份响右令米正国比转订围维志至制预育聊跟佳受排马过家"
)
"""Guesses that are everyday signs: each would be tried on almost every text and finds too little."""


def _suspects() -> dict[str, str]:
    table: dict[str, str] = {}
    for plain, guesses in _SUSPECTS.items():
        for guess in guesses:
            if guess not in _BROAD:
                table.setdefault(guess, plain)
    return table


SUSPECT: Final[dict[str, str]] = _suspects()
"""One sign to the sign it may stand for. A hit that needs it is a guess."""

SYLLABLES: Final[dict[str, str]] = {
    "zui": "最",
    "di": "第",
    "ding": "顶",
    "ji": "级",
    "jia": "佳",
    "gen": "根",
    "zhi": "治",
    "yu": "愈",
    "liao": "疗",
    "kang": "抗",
    "ai": "癌",
    "yao": "药",
    "bing": "病",
    "xiao": "效",
    "shou": "瘦",
    "jian": "减",
    "fei": "肥",
    "wei": "微",
    "xin": "信",
    "qun": "群",
    "zan": "赞",
    "guo": "国",
    "wang": "网",
    "quan": "全",
    "bao": "保",
    "ben": "本",
    "zhuan": "转",
    "fa": "发",
    "pei": "赔",
    "qian": "钱",
    "jue": "绝",
    "dui": "对",
    "wei yi": "唯一",
    "weiyi": "唯一",
    "weixin": "微信",
    "zuihao": "最好",
    "diyi": "第一",
    "jiangtang": "降糖",
}
"""Pinyin that touches a Chinese sign (``gen治``) to the sign it may stand for."""

SPLIT: Final[dict[str, str]] = {
    "10o%": "100%",
    "1oo%": "100%",
    "1o0%": "100%",
    "稳zhuan": "稳赚",
    "躺zhuan": "躺赚",
    "包zhuan": "包赚",
    "zhuan钱": "赚钱",
    "威心": "微信",
    "薇心": "微信",
    "微心": "微信",
    "威芯": "微信",
    "薇芯": "微信",
    "微芯": "微信",
    "国jia": "国家",
    "guo家": "国家",
    "包guo": "包过",
    "保guo": "保过",
    "必guo": "必过",
    "微xin": "微信",
    "薇xin": "微信",
    "讠正": "证",
    "米青": "精",
    "疒丙": "病",
    "亻言": "信",
    "木及": "极",
    "纟及": "级",
    "疒合": "疗",
    "禾责": "积",
    "弓虽": "强",
    "马扁": "骗",
    "贝兼": "赚",
    "氵台": "治",
    "扌亢": "抗",
    "艹约": "药",
    "竹弟": "第",
}
"""A sign taken apart, or a word half in pinyin, to what it may stand for (女子 is left out: it is a word)."""
