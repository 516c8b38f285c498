"""Brings a code to a person: looks up where the person is reached, and says it in both languages.

Promises that a number or an address is opened only to write to the very person it belongs to, only after
the tick was committed and logged, and that it goes nowhere but to the gateway. Opening is asked of
``governance.opening``, like everywhere: this module sees one value and neither keys nor cells.
"""

from __future__ import annotations

from typing import Final

from consent.outbox import CodeMessage, CodeSender, NotSentError
from governance.database import Database, StoreError
from governance.mailgateway import MailGateway
from governance.opening import DoesNotOpenError, Opening
from governance.outside import Outside
from governance.smsgateway import SmsGateway
from policies.terms import FieldName, SubjectId

_MOBILE: Final = FieldName("mobile")
_EMAIL: Final = FieldName("email")
_SMS: Final = (
    "【{name}】验证码 {code}，{minutes} 分钟内有效，用于确认您勾选的同意。"
    "不是您本人操作请忽略，不要告诉任何人。"
    "Code {code}, valid {minutes} min; share it with nobody."
)
_SUBJECT: Final = "确认您的同意 · Confirm your consent"
_MAIL: Final = """\
您在{name}勾选了一项同意。确认请打开下面的页面，再点“确认”按钮；{minutes} 分钟内有效，只能用一次：

{site}/confirm/{link}

也可以在您勾选的地方输入验证码：{code}
不是您本人勾选的？不用做任何事，同意不会生效。

--

You ticked a consent at {name}. To confirm it, open the page above and press the button there; it works once,
within {minutes} minutes. You may also type the code where you ticked: {code}
It was not you? Do nothing, and nothing is agreed.
"""


class Reaching:
    """Sends codes by SMS where there is a gateway and a number, else by mail."""

    def __init__(
        self,
        database: Database,
        opening: Opening,
        outside: Outside,
        sms: SmsGateway | None,
        mail: MailGateway | None,
    ) -> None:
        self._database = database
        self._opening = opening
        self._outside = outside
        self._sms = sms
        self._mail = mail

    def send(self, message: CodeMessage) -> None:
        """Send the code to whoever ticked.

        Raises:
            NotSentError: there is no way to reach the person, or the gateway did not take it.
        """
        words = {"name": self._outside.name, "code": message.code, "minutes": message.minutes}
        if self._sms is not None and (number := self._where(message.actor_id, _MOBILE)):
            self._sms.send(number, _SMS.format(**words))
        elif self._mail is not None and (address := self._where(message.actor_id, _EMAIL)):
            text = _MAIL.format(**words, site=self._outside.site, link=message.link)
            self._mail.send(address, _SUBJECT, text)
        else:
            raise NotSentError

    def _where(self, member_id: str, field: FieldName) -> str | None:
        try:
            with self._database.reading() as tx:
                return self._opening.contact(tx, SubjectId(member_id), field)
        except (StoreError, DoesNotOpenError):
            raise NotSentError from None


def sender_of(outside: Outside, database: Database, opening: Opening) -> CodeSender | None:
    """Return what sends codes under these settings, None where nothing does."""
    sms = None if outside.sms is None else SmsGateway(outside.sms)
    mail = None if outside.mail is None else MailGateway(outside.mail)
    if sms is None and mail is None:
        return None
    return Reaching(database, opening, outside, sms, mail)
