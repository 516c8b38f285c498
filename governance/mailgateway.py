"""The mail server over SMTP: one mail for each code, over TLS, and never a second try.

Promises that outside this machine nothing is said before the connection is encrypted and the server's name
checked, that no header can be smuggled in, and that what failed is told as one error without cause: replies
of mail servers like to repeat the address.
"""

from __future__ import annotations

import smtplib
import ssl
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import formatdate, make_msgid
from typing import Final

from consent.outbox import NotSentError
from governance.outside import MailAccess

TIMEOUT_S: Final = 10.0


class MailGateway:
    """Hands mails to one mail server."""

    def __init__(self, access: MailAccess) -> None:
        self._access = access

    def send(self, address: str, subject: str, text: str) -> None:
        """Send one mail.

        Raises:
            NotSentError: the server refused, could not be reached, or did not answer in time.
        """
        try:
            mail = self._mail(address, subject, text)
            with self._server() as server:
                if self._access.user:
                    server.login(self._access.user, self._access.password)
                refused = server.send_message(mail)
        except (OSError, smtplib.SMTPException, MessageError, ValueError):
            raise NotSentError from None
        if refused:
            raise NotSentError

    def _mail(self, address: str, subject: str, text: str) -> EmailMessage:
        mail = EmailMessage(policy=SMTP_POLICY)
        mail["From"] = self._access.sender
        mail["To"] = address  # a line break in an address is an error here, not another header
        mail["Subject"] = subject
        mail["Date"] = formatdate()
        mail["Message-ID"] = make_msgid(domain=self._access.sender.rpartition("@")[2])
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        return mail

    def _server(self) -> smtplib.SMTP:
        access = self._access
        if access.tls == "implicit":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(access.host, access.port, timeout=TIMEOUT_S, context=context)
        server = smtplib.SMTP(access.host, access.port, timeout=TIMEOUT_S)
        if access.tls == "starttls":
            try:
                server.starttls(context=ssl.create_default_context())
            except BaseException:
                server.close()
                raise
        return server
