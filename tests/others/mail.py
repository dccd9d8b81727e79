"""A mail server: STARTTLS, a password, and what arrives as JSON, one message a line, as Python's email module reads it.

mail.py CERTIFICATE PORT USER PASSWORD FILE   says `listening on 127.0.0.1:<port>`; port 0 takes any free one

Takes nothing for recipients whose name begins with `nobody`.
"""

import asyncio
import email
import email.policy
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

certificate, port, user, password, file = sys.argv[1:6]
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options) -> str:
        if address.startswith("nobody"):
            return "550 5.1.1 there is nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        read = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None,
            "headers": [[name, str(value)] for name, value in message.items()],
            "defects": [str(defect) for defect in message.defects],
            "body": message.get_content(),
        }
        with open(file, "a") as out:
            print(json.dumps(read), file=out)
        return "250 OK"


def authenticate(server, session, envelope, mechanism, data) -> AuthResult:
    given = (getattr(data, "login", None), getattr(data, "password", None))
    return AuthResult(success=given == (user.encode(), password.encode()), handled=False)


async def main() -> None:
    def protocol() -> SMTP:
        return SMTP(
            Handler(),
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
        )

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", int(port))
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
