"""Who the controller is and which gateways there are: whole or absent, and never a secret in a message."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.outside import MailAccess, SmsAccess
from governance.settings import SettingsError, read_settings
from policies.book import packaged_rules

GOOD = {
    "GOVERNANCE_SMS_URL": "https://sms.example/send",
    "GOVERNANCE_SMS_KEY": "k" * 32,
    "GOVERNANCE_SMTP_URL": "smtps://user@mail.example",
    "GOVERNANCE_SMTP_PASSWORD": "secret",
    "GOVERNANCE_SMTP_FROM": "consent@house.example",
}


def test_gateways_are_read_from_the_environment_and_files(tmp_path: Path) -> None:
    kept = tmp_path / "key"
    kept.write_text("f" * 40 + "\n", encoding="ascii")
    environment = {**GOOD, "GOVERNANCE_SMS_KEY_FILE": str(kept)}
    del environment["GOVERNANCE_SMS_KEY"]
    outside = read_settings(environment, packaged_rules()).outside
    assert outside.sms == SmsAccess("https://sms.example/send", "f" * 40)
    assert outside.mail == MailAccess(
        "mail.example", 465, "implicit", "consent@house.example", "user", "secret"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SMS_URL", "http://sms.example/send"),
        ("SMS_URL", "https://" + "user:secret@sms.example/"),
        ("SMS_URL", "ftp://sms.example"),
        ("SMS_URL", None),
        ("SMS_KEY", "short"),
        ("SMS_KEY", None),
        ("SMTP_URL", "https://mail.example"),
        ("SMTP_URL", "smtps://mail.example:port"),
        ("SMTP_URL", None),
        ("SMTP_PASSWORD", None),
        ("SMTP_FROM", "Consent <consent@house.example>"),
        ("SMTP_FROM", None),
    ],
)
def test_half_a_gateway_stops_the_start(name: str, value: str | None) -> None:
    environment = {**GOOD, f"GOVERNANCE_{name}": value}
    with pytest.raises(SettingsError) as refused:
        read_settings({k: v for k, v in environment.items() if v is not None}, packaged_rules())
    assert f"GOVERNANCE_{name}: " in str(refused.value)
    assert "secret" not in str(refused.value)


def test_in_prod_the_controller_must_be_named() -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"GOVERNANCE_PROFILE": "prod"}, packaged_rules())
    told = {line.partition(":")[0] for line in str(refused.value).splitlines()}
    assert told == {
        *("GOVERNANCE_CONTROLLER_NAME", "GOVERNANCE_CONTROLLER_ADDRESS", "GOVERNANCE_CONTROLLER_CONTACT"),
        "GOVERNANCE_PUBLIC_URL",
    }


def test_mail_on_this_machine_needs_no_tls_and_elsewhere_it_does() -> None:
    for url, tls in (("smtp://127.0.0.1:2525", "none"), ("smtp://mail.example", "starttls")):
        environment = {"GOVERNANCE_SMTP_URL": url, "GOVERNANCE_SMTP_FROM": "a@house.example"}
        mail = read_settings(environment, packaged_rules()).outside.mail
        assert mail is not None
        assert mail.tls == tls
