"""An SMTP server that keeps what it is given as files, for tests and for trying things out.

It asks for encryption and a login before it takes anything. What stands before the @ of an address
says what becomes of it: `unknown` is refused for good, `later` for now, anything else is taken.
"""

import asyncio
import itertools
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

LOGIN = (b"jobtracker", b"a sink's password")


class Keeper:
    def __init__(self, folder):
        self.folder = folder
        self.numbers = itertools.count(1)

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name == "unknown":
            return "550 5.1.1 no such mailbox"
        if name == "later":
            return "451 4.2.1 not now"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        path = os.path.join(self.folder, f"{next(self.numbers):06}")
        with open(path + ".part", "wb") as file:
            file.write(b"X-Envelope-To: " + ", ".join(envelope.rcpt_tos).encode() + b"\r\n")
            file.write(envelope.content)
        # A reader that sees the file sees all of it.
        os.rename(path + ".part", path + ".eml")
        return "250 kept"


def authenticate(server, session, envelope, mechanism, login):
    # Not handled here: the server gives the answer that goes with it.
    return AuthResult(success=(login.login, login.password) == LOGIN, handled=False)


async def serve(base):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{base}/cert.pem", f"{base}/key.pem")
    keeper = Keeper(f"{base}/mail")

    def connection():
        return SMTP(
            keeper,
            hostname="sink.test",
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=authenticate,
        )

    server = await asyncio.get_running_loop().create_server(connection, "127.0.0.1", 0)
    with open(f"{base}/address.part", "w") as file:
        file.write("127.0.0.1:%d\n" % server.sockets[0].getsockname()[1])
    os.rename(f"{base}/address.part", f"{base}/address")
    await server.serve_forever()


if __name__ == "__main__":
    # Files that its starter had open (a lock, perhaps) must not stay open while the server lives.
    os.closerange(3, 1024)
    asyncio.run(serve(sys.argv[1]))
