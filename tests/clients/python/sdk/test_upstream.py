"""Clients of the SDK with an application behind the server, which is asked as a webhook.

The server is one of this file's own, because its configuration names the application's port: PROGRAM is the folkmoot that
is started.
"""

import http.server
import json
import os
import re
import subprocess
import tempfile
import threading

from azure.messaging.webpubsubclient.models import SendMessageError, WebPubSubDataType

from support import ANY, KEY, Service, both_forms


class Application(http.server.BaseHTTPRequestHandler):
    """Echoes the event `echo`, says nothing to `quiet`, and fails at all others."""

    protocol_version = "HTTP/1.1"

    def do_OPTIONS(self):
        self.answer(200, {"WebHook-Allowed-Origin": "*"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        match self.headers["ce-eventName"]:
            case "echo":
                self.answer(200, {"Content-Type": self.headers["Content-Type"]}, body)
            case "quiet":
                self.answer(204)
            case _:
                self.answer(500)

    def answer(self, status, headers={}, body=b""):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def setUpModule():
    global application, folder, server, connection_string
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    folder = tempfile.TemporaryDirectory()
    webhook = {"url": f"http://127.0.0.1:{application.server_address[1]}/{{hub}}/{{event}}", "user_events": "*"}
    settings = {
        "server.port": 0,
        "log.level": "error",
        "auth.access_keys": KEY,
        "hubs.declared.upstream.webhooks": json.dumps([webhook]),
    }
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    server = subprocess.Popen([os.environ["PROGRAM"], *flags], cwd=folder.name, stdout=subprocess.PIPE, text=True)
    address = next(found[1] for line in server.stdout if (found := re.search("ws://([^/]*)/ws", line)))
    connection_string = f"Endpoint=http://{address};AccessKey={KEY};Version=1.0;"


def tearDownModule():
    server.terminate()
    server.stdout.close()
    assert server.wait(30) == 0
    application.shutdown()
    application.server_close()
    folder.cleanup()


class Upstream:
    async def begin(self):
        tokens = Service("upstream", False, connection_string).sdk
        url = tokens.get_client_access_token(user_id="mark", roles=ANY)["url"]

        async def given():
            return url

        client = self.client(given if self.asynchronous else url)
        await client.open()
        return client

    async def test_an_event_is_answered_by_the_application(self):
        mark = await self.begin()
        await mark.send_event("echo", "Hé, 日本!", WebPubSubDataType.TEXT)
        await mark.send_event("echo", {"a": [1, 2.5]}, WebPubSubDataType.JSON)
        await mark.send_event("echo", memoryview(b"\x00\x01\xfe\xff"), WebPubSubDataType.BINARY)
        await mark.send_event("echo", "without an ack", WebPubSubDataType.TEXT, ack=False)
        heard = [(message.data_type, message.data) for message in await mark.heard(4)]
        binary = memoryview(b"\x00\x01\xfe\xff")
        echoed = [("text", "Hé, 日本!"), ("json", {"a": [1, 2.5]}), ("binary", binary), ("text", "without an ack")]
        self.assertEqual(heard, echoed)

    async def test_an_event_that_the_application_says_nothing_to_is_acked_and_one_that_it_fails_is_an_error(self):
        mark = await self.begin()
        await mark.send_event("quiet", 1, WebPubSubDataType.JSON)
        with self.assertRaises(SendMessageError) as failed:
            await mark.send_event("fail", 1, WebPubSubDataType.JSON)
        self.assertEqual(failed.exception.error_detail.name, "InternalServerError")
        self.assertEqual(mark.messages + mark.disconnections, [])


globals().update(both_forms(Upstream))
del Upstream
