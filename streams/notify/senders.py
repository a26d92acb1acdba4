"""Sends one message to one target, over HTTP (urllib3) or SMTP. Every failure becomes an `Outcome`.

Errors of the libraries name addresses with tokens in them, so their texts are never used: what happened is said in
words of our own.
"""

from __future__ import annotations

import hashlib
import logging
import smtplib
import ssl
import time
from collections.abc import Sequence
from email.message import EmailMessage
from typing import Final

import orjson
import urllib3

from streams.domain.notify.text import Message, fit
from streams.notify.outbox import Waiting
from streams.notify.requests import TOOK, Outcome, Request, mark, outcome_of, requests_of
from streams.notify.settings import Target, shown

MOST_ANSWER: Final = 65_536
_MOST_HEARD: Final = 10_000
_Name = tuple[str, int, str, str]
logging.getLogger("urllib3").setLevel(logging.ERROR)  # its debug lines hold whole addresses


class Sender:
    """Sends; a pool of connections is shared by all targets. Safe from several threads, each with its own targets."""

    def __init__(self) -> None:
        self._pool = urllib3.PoolManager(num_pools=32, maxsize=2)
        self._told: dict[str, dict[int, set[_Name]]] = {}
        """Of each gateway, by the places of its numbers, what they took of messages that not all of them took. In
        memory: after a restart they may be told twice."""

    def send(self, target: Target, message: Message, about: Sequence[Waiting], now: int) -> Outcome:
        """Never raises for what the target does. A gateway with several numbers took it if all of them did; one that is
        refused keeps it from no other, and those who took it hear of it no more."""
        if target.prefix:
            message = Message(f"{target.prefix} {message.title}", f"{target.prefix} {message.text}")
        if target.kind == "email":
            return _mailed(target, message, about, now)
        requests = requests_of(target, message, about, now)
        if len(requests) == 1:
            return self._post(target, requests[0])
        told, names = self._told.setdefault(target.name, {}), {each.name for each in about}
        ended = TOOK
        for place, request in enumerate(requests):
            heard = told.setdefault(place, set())
            if names and names <= heard:
                continue
            outcome = self._post(target, request)
            if outcome.took:
                heard.update(names)
                continue
            ended = outcome
            if not outcome.refused:
                break
        for heard in told.values():
            if ended.took:
                heard.difference_update(names)
            elif len(heard) > _MOST_HEARD:
                heard.intersection_update(names)
        return ended

    def _post(self, target: Target, request: Request) -> Outcome:
        ends = time.monotonic() + target.timeout_s
        answer = None
        try:
            answer = self._pool.request(
                "POST",
                request.url,
                body=orjson.dumps(request.body),
                headers={"Content-Type": "application/json; charset=utf-8", **request.headers},
                timeout=urllib3.Timeout(total=target.timeout_s),
                retries=False,  # the outbox says when to try again, also after a restart
                redirect=False,  # a token is for this address only
                preload_content=False,
            )
            body = b""
            while len(body) < MOST_ANSWER and (chunk := answer.read1(MOST_ANSWER)):
                body += chunk
                if time.monotonic() > ends:
                    return Outcome(False, "timed out")
            return outcome_of(target, answer.status, answer.headers.get("Retry-After"), body)
        except urllib3.exceptions.HTTPError as error:
            return Outcome(False, _words(error))
        except (OSError, ValueError):
            return Outcome(False, "cannot be spoken to")
        finally:
            if answer is not None:
                answer.close()


def _words(error: BaseException) -> str:
    kinds: tuple[tuple[type[BaseException], str], ...] = (
        (urllib3.exceptions.NameResolutionError, "no address for its name"),
        (urllib3.exceptions.NewConnectionError, "refused the connection"),
        (urllib3.exceptions.ConnectTimeoutError, "timed out while connecting"),
        (urllib3.exceptions.TimeoutError, "timed out"),
        (urllib3.exceptions.SSLError, "its certificate or TLS is not accepted"),
        (urllib3.exceptions.ProtocolError, "broke the connection off"),
        (urllib3.exceptions.LocationValueError, "its address cannot be used"),
    )
    return next((words for kind, words in kinds if isinstance(error, kind)), type(error).__name__)


def mail(target: Target, message: Message, about: Sequence[Waiting]) -> EmailMessage:
    """The e-mail of a message; the same id when it is sent again."""
    options = target.options
    made = EmailMessage()
    made["From"], made["To"] = shown(options["from"]), ", ".join(options["to"])
    made["Subject"] = message.title
    number = mark(about) if about else hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:32]
    made["Message-ID"] = f"<{number}@oms.notify>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(fit(message.text, target.most_bytes), cte="base64")  # servers that take seven bits take it too
    return made


def _mailed(target: Target, message: Message, about: Sequence[Waiting], now: int) -> Outcome:
    options = target.options
    host, _, port = shown(options["server"]).rpartition(":")
    tls = options.get("tls", "starttls")
    try:
        context = ssl.create_default_context(cafile=options.get("ca_file")) if tls != "none" else None
        if tls == "ssl":
            server: smtplib.SMTP = smtplib.SMTP_SSL(host, int(port), timeout=target.timeout_s, context=context)
        else:
            server = smtplib.SMTP(host, int(port), timeout=target.timeout_s)
        with server:
            if tls == "starttls":
                server.starttls(context=context)
            if "user" in options:
                server.login(shown(options["user"]), shown(options["password"]))
            missed = server.send_message(mail(target, message, about))
        # Some took it: sent again it would reach those twice, so it counts as told.
        return TOOK if len(missed) < len(options["to"]) else Outcome(False, "no address was taken")
    except smtplib.SMTPAuthenticationError:
        return Outcome(False, "refused user and password")
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        return Outcome(False, f"refused the addresses (SMTP {max(codes)})", refused=min(codes) >= 500)
    except smtplib.SMTPResponseException as error:
        # A 5xx to the data is about this message; to anything else about the server.
        refused = error.smtp_code >= 500 and isinstance(error, smtplib.SMTPDataError)
        return Outcome(False, f"SMTP {error.smtp_code}", refused=refused)
    except TimeoutError:
        return Outcome(False, "timed out")
    except smtplib.SMTPException as error:
        silent = isinstance(error.__context__, TimeoutError)
        return Outcome(False, "timed out" if silent else "broke the connection off")
    except ssl.SSLError:
        return Outcome(False, "its certificate or TLS is not accepted")
    except ConnectionRefusedError:
        return Outcome(False, "refused the connection")
    except (OSError, ValueError):
        return Outcome(False, "cannot be spoken to")
