"""Delivering by e-mail, through the one server that the operator names."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage

from identity.secret import SecretUnreadable, read_secret
from vault_api.alerts.message import Alert, mail
from vault_api.alerts.webhook import NotDelivered
from vault_api.settings import VaultSettings

_SECONDS = 15.0


class Mails:
    """`settings.smtp` empty means that there is no e-mail here, which is no failure of the alert."""

    def __init__(self, settings: VaultSettings) -> None:
        self._settings = settings

    @property
    def configured(self) -> bool:
        """Whether there is a server to give mail to."""
        return bool(self._settings.smtp)

    async def deliver(self, alert: Alert, to: str) -> None:
        """Hands the mail over. Raises NotDelivered."""
        message = mail(alert, sender=self._settings.smtp_from, to=to)
        try:
            await asyncio.to_thread(self._send, message)
        except smtplib.SMTPRecipientsRefused:
            raise NotDelivered("recipient_refused", final=True) from None
        except (smtplib.SMTPException, OSError, SecretUnreadable):
            raise NotDelivered("smtp_failed") from None

    def _send(self, message: EmailMessage) -> None:
        settings = self._settings
        host, _, port = settings.smtp.rpartition(":")
        context = ssl.create_default_context()
        if settings.smtp_tls == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=_SECONDS, context=context)
        else:
            server = smtplib.SMTP(host, int(port), timeout=_SECONDS)
        with server:
            if settings.smtp_tls == "starttls":
                server.starttls(context=context)
            if settings.smtp_user and settings.smtp_password_file is not None:
                password = read_secret(settings.smtp_password_file, name="VAULT_SMTP_PASSWORD_FILE")
                server.login(settings.smtp_user, password.text())
            server.send_message(message)
