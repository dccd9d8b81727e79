"""Speaks TLS in front of a server that does not, as a proxy of its operator would.

front.py CERTIFICATE HOST:PORT   says `listening on 127.0.0.1:<port>`; the file holds certificate and key
"""

import asyncio
import ssl
import sys

certificate, address = sys.argv[1:3]
host, port = address.rsplit(":", 1)
context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(certificate)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while read := await reader.read(1 << 16):
            writer.write(read)
            await writer.drain()
    except (ConnectionError, ssl.SSLError):
        pass
    finally:
        writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        behind = await asyncio.open_connection(host, int(port))
    except ConnectionError:
        writer.close()
        return
    await asyncio.gather(pass_on(reader, behind[1]), pass_on(behind[0], writer))


async def main() -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    print(f"listening on 127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


asyncio.run(main())
