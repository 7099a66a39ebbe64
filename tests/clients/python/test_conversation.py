"""What a Python program that uses the library `websockets` sees of a server with the demo of `config.yaml`.

Started by `../run`, which names the server in SERVER (as host:port).
"""

import asyncio
import base64
import json
import os
import unittest
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

SERVER = os.environ["SERVER"]
JSON = "json.webpubsub.azure.v1"
DEADLINE = 10


def basic(login, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()}


class Client:
    """One connection: what it asks, and the frames it reads in their order."""

    def __init__(self, socket):
        self.socket = socket
        self.acks = 0

    async def read(self):
        return await asyncio.wait_for(self.socket.recv(), DEADLINE)

    async def frame(self):
        """The next frame, announcements included."""
        return json.loads(await self.read())

    async def answer(self):
        """The next frame that is no announcement."""
        while "announcement" in (frame := await self.frame()):
            pass
        return frame

    async def announced(self, text):
        """Reads up to this announcement; anything else on the way is a mistake."""
        while (frame := await self.frame())["data"] != text:
            assert "announcement" in frame, frame
        return frame

    async def ask(self, type, **fields):
        """Sends a request and returns its ack, which must be the next answer."""
        self.acks += 1
        await self.socket.send(json.dumps({"type": type, "ackId": self.acks, **fields}))
        ack = await self.answer()
        assert ack["type"] == "ack" and ack["ackId"] == self.acks, ack
        return ack

    async def hears_nothing(self):
        """Nothing stands before the answer to a ping that is sent now."""
        await self.socket.send('{"type":"ping"}')
        frame = await self.answer()
        assert frame == {"type": "pong"}, frame

    async def closed_with(self):
        try:
            while True:
                await self.read()
        except ConnectionClosed as closed:
            return closed.rcvd.code


class Conversation(unittest.IsolatedAsyncioTestCase):
    async def socket(self, n=1, path="/ws", headers=None, **options):
        headers = basic(f"user-{n}", f"password-{n}") if headers is None else headers
        socket = await connect(f"ws://{SERVER}{path}", additional_headers=headers, **options)
        self.addAsyncCleanup(socket.close)
        return socket

    async def client(self, n=1, **options):
        """User n on the JSON subprotocol, with `connected` read."""
        client = Client(await self.socket(n, subprotocols=[JSON], **options))
        client.connected = await client.frame()
        return client

    async def member(self, n, group):
        client = await self.client(n)
        self.assertTrue((await client.ask("joinGroup", group=group))["success"])
        return client

    async def refusal(self, headers, path="/ws"):
        with self.assertRaises(InvalidStatus) as refused:
            await connect(f"ws://{SERVER}{path}", additional_headers=headers, subprotocols=[JSON])
        return refused.exception.response

    async def test_the_first_frame_tells_who_is_connected_and_where(self):
        client = await self.client(1)
        self.assertEqual(client.socket.subprotocol, JSON)
        connected = client.connected
        self.assertEqual((connected["type"], connected["event"]), ("system", "connected"))
        self.assertEqual(connected["userId"], "user-1")
        self.assertEqual(connected["groups"], ["Sales"])
        self.assertEqual(connected["user"]["phone"], "+55431588744134")

    async def test_members_are_told_who_comes_and_who_goes(self):
        mark = await self.client(1)
        await mark.announced("Mark has logged in.")
        anna = await self.client(2)
        self.assertTrue((await anna.ask("joinGroup", group="Sales"))["success"])
        frame = await mark.announced("Anna has logged in.")
        self.assertEqual((frame["from"], frame["group"]), ("group", "Sales"))
        self.assertEqual(frame["announcement"]["event"], "joined")
        await anna.socket.close()
        frame = await mark.announced("Anna has disconnected.")
        self.assertEqual(frame["announcement"]["reason"], "disconnected")

    async def test_a_connection_that_breaks_off_is_announced_like_one_that_says_goodbye(self):
        mark = await self.member(1, "py/broken")
        anna = await self.member(2, "py/broken")
        await mark.announced("Anna has logged in.")
        anna.socket.transport.abort()
        await mark.announced("Anna has disconnected.")

    async def test_a_publish_to_a_mask_reaches_each_member_of_a_matching_group_once(self):
        anna = await self.member(2, "py/mask/a")
        self.assertTrue((await anna.ask("joinGroup", group="py/mask/b"))["success"])
        kenji = await self.member(3, "py/other")
        mark = await self.client(1)
        ack = await mark.ask("sendToGroup", group="py/mask/*", dataType="text", data="Hello.")
        self.assertTrue(ack["success"])
        frame = await anna.answer()
        self.assertEqual((frame["group"], frame["mask"]), ("py/mask/a", "py/mask/*"))
        self.assertEqual((frame["fromUserId"], frame["dataType"], frame["data"]), ("user-1", "text", "Hello."))
        await anna.hears_nothing()
        await kenji.hears_nothing()

    async def test_a_sender_hears_itself_before_its_ack_unless_it_asks_not_to(self):
        mark = await self.member(1, "py/echo")
        await mark.socket.send('{"type":"sendToGroup","group":"py/echo","dataType":"text","data":"x","ackId":50}')
        self.assertEqual((await mark.answer())["data"], "x")
        self.assertEqual((await mark.answer())["ackId"], 50)
        self.assertTrue((await mark.ask("sendToGroup", group="py/echo", data="y", noEcho=True))["success"])
        await mark.hears_nothing()

    async def test_a_group_that_must_exist_and_does_not_is_not_found(self):
        mark = await self.client(1)
        ack = await mark.ask("sendToGroup", group="py/nobody", dataType="text", data="x", mustExist=True)
        self.assertFalse(ack["success"])
        self.assertEqual(ack["error"]["name"], "NotFound")
        self.assertTrue((await mark.ask("sendToGroup", group="py/nobody", dataType="text", data="x"))["success"])

    async def test_binary_data_reaches_json_clients_as_base64_and_raw_clients_as_it_is(self):
        bytes_sent = bytes(range(256))
        anna = await self.client(2)
        raw = await self.socket(3)  # Kenji's department is sales/asia.
        self.assertTrue((await anna.ask("joinGroup", group="sales/asia"))["success"])
        mark = await self.client(1)
        data = base64.b64encode(bytes_sent).decode()
        self.assertTrue((await mark.ask("sendToGroup", group="sales/asia", dataType="binary", data=data))["success"])
        frame = await anna.answer()
        self.assertEqual((frame["dataType"], frame["data"]), ("binary", data))
        while isinstance(heard := await asyncio.wait_for(raw.recv(), DEADLINE), str):
            self.assertIn(" has ", heard)
        self.assertEqual(heard, bytes_sent)

    async def test_frames_of_a_raw_client_go_to_its_groups(self):
        ines = await self.client(4)  # In accounting and admin.
        raw = await self.socket(4)
        await raw.send("plain words")
        frame = await ines.answer()
        self.assertEqual((frame["dataType"], frame["data"], frame["group"]), ("text", "plain words", "accounting"))
        await raw.send(b"\x00\xff")
        frame = await ines.answer()
        self.assertEqual((frame["dataType"], frame["data"]), ("binary", "AP8="))

    async def test_any_json_value_and_any_script_arrive_as_they_were_sent(self):
        anna = await self.member(2, "py/ünï/集")
        mark = await self.client(1)
        for value in ({"a": [1, 2.5, None, "\u2028 \U0001f600 \x00"]}, "text", 0, False, []):
            self.assertTrue((await mark.ask("sendToGroup", group="py/ünï/集", dataType="json", data=value))["success"])
            self.assertEqual((await anna.answer())["data"], value)

    async def test_messages_of_one_sender_arrive_in_their_order(self):
        anna = await self.member(2, "py/order")
        mark = await self.client(1)
        for n in range(500):
            await mark.socket.send(json.dumps({"type": "sendToGroup", "group": "py/order", "data": n}))
        self.assertEqual([(await anna.answer())["data"] for _ in range(500)], list(range(500)))

    async def test_a_message_may_come_in_fragments(self):
        mark = await self.client(1)
        await mark.socket.send(iter(['{"type":', '"pi', 'ng"}']))
        self.assertEqual(await mark.answer(), {"type": "pong"})

    async def test_pings_of_the_protocol_and_of_the_application_are_answered(self):
        mark = await self.client(1)
        await mark.hears_nothing()
        await asyncio.wait_for(await mark.socket.ping(b"are you there"), DEADLINE)

    async def test_offered_compression_is_declined(self):
        mark = await self.client(1, compression="deflate")
        self.assertEqual(mark.socket.protocol.extensions, [])

    async def test_a_close_is_answered_with_its_code(self):
        mark = await self.client(1)
        await mark.socket.close(4321, "done")
        self.assertEqual((mark.socket.protocol.close_rcvd.code, mark.socket.protocol.close_rcvd_then_sent), (4321, False))

    async def test_each_mistake_has_its_close_code(self):
        for frame, code in (("not JSON", 1007), (b"{}", 1003), ("x" * (1024 * 1024 + 1), 1009)):
            mark = await self.client(1)
            await mark.socket.send(frame)
            self.assertEqual(await mark.closed_with(), code)

    async def test_a_mistake_with_an_ack_id_keeps_the_connection(self):
        mark = await self.client(1)
        ack = await mark.ask("joinGroup", group="py/[unclosed")
        self.assertEqual((ack["success"], ack["error"]["name"]), (False, "BadRequest"))
        await mark.hears_nothing()

    async def test_whoever_cannot_prove_who_they_are_is_refused_with_401(self):
        for headers in (basic("user-1", "wrong"), basic("nobody", "password-1"), {}, {"Authorization": "Basic ?"}):
            response = await self.refusal(headers)
            self.assertEqual(response.status_code, 401)
            self.assertIn("Basic realm=", response.headers["WWW-Authenticate"])

    async def test_a_foreign_origin_is_refused_with_403(self):
        headers = basic("user-1", "password-1") | {"Origin": "https://elsewhere.example"}
        self.assertEqual((await self.refusal(headers)).status_code, 403)

    async def test_a_token_opens_a_connection_where_no_header_can_be_sent(self):
        request = urllib.request.Request(f"http://{SERVER}/auth/token", method="POST", headers=basic("user-2", "password-2"))
        with await asyncio.to_thread(urllib.request.urlopen, request, timeout=DEADLINE) as answer:
            token = json.load(answer)["token"]
        anna = await self.client(headers={}, path=f"/client/hubs/chat?access_token={token}")
        self.assertEqual((anna.connected["userId"], anna.connected["groups"]), ("user-2", ["sales/europe"]))
        response = await self.refusal({}, f"/client/hubs/chat?access_token={token[:-4]}AAAA")
        self.assertEqual(response.status_code, 401)


if __name__ == "__main__":
    unittest.main(verbosity=2)
