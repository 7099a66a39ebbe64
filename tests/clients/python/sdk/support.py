"""What the suites with the Web PubSub SDKs share: clients and services behind one face, and a TCP proxy that cuts wires.

The SDKs come in a blocking and in an asynchronous form. Tests are written once, for both: `Client` and `Service` call the
blocking one in a thread. `../../run` starts the servers and names them in the environment, as a back end gets them.
"""

import asyncio
import logging
import os
import re
import socket
import struct
import threading
import time
import unittest

import azure.messaging.webpubsubclient as blocking_client
import azure.messaging.webpubsubclient.aio as async_client
from azure.messaging.webpubsubclient.models import CallbackType, SendMessageError, WebPubSubProtocolType
from azure.messaging.webpubsubservice import WebPubSubServiceClient
from azure.messaging.webpubsubservice.aio import WebPubSubServiceClient as AsyncWebPubSubServiceClient

# The SDKs say a lot about wires that are cut on purpose.
logging.disable(logging.CRITICAL)


def on_error_in_a_thread(args):
    # The blocking client acknowledges from a thread that ends with an exception when its wire is cut.
    if "sequence_id_ack_periodically" not in args.thread.name:
        threading.__excepthook__(args)


threading.excepthook = on_error_in_a_thread

# For each wait, which is far more than anything takes: a test that hangs fails by it.
DEADLINE = 30

CONNECTION_STRING = os.environ["WebPubSubConnectionString"]
SHORT_WINDOW = os.environ["ShortWindowConnectionString"]
PROTOCOLS = {"plain": WebPubSubProtocolType.JSON, "reliable": WebPubSubProtocolType.JSON_RELIABLE}


def endpoint_and_key(connection_string):
    return re.fullmatch("Endpoint=(.*?);AccessKey=(.*?);Version=1.0;", connection_string).groups()


ENDPOINT, KEY = endpoint_and_key(CONNECTION_STRING)


async def eventually(look, what=None):
    """Waits until `look` gives something that is true, and returns it."""
    late = time.monotonic() + DEADLINE
    while True:
        found = look()
        if asyncio.iscoroutine(found):
            found = await found
        if found:
            return found
        assert time.monotonic() < late, f"never came: {what or look}"
        await asyncio.sleep(0.02)


class Service:
    """The SDK of back ends: every method awaitable, whichever form it is of."""

    def __init__(self, hub, asynchronous, connection_string=CONNECTION_STRING):
        sdk = AsyncWebPubSubServiceClient if asynchronous else WebPubSubServiceClient
        self.asynchronous = asynchronous
        # Nothing is tried again: a failure is to be seen.
        self.sdk = sdk.from_connection_string(connection_string, hub, retry_total=0)

    def __getattr__(self, name):
        method = getattr(self.sdk, name)

        async def call(*args, **options):
            return await (
                method(*args, **options) if self.asynchronous else asyncio.to_thread(method, *args, **options)
            )

        return call

    async def members(self, group, **options):
        """The members of a group, in the pages that they came in."""
        if not self.asynchronous:
            listed = lambda: [list(page) for page in self.sdk.list_connections(group=group, **options).by_page()]
            return await asyncio.to_thread(listed)
        pages = self.sdk.list_connections(group=group, **options).by_page()
        return [[member async for member in page] async for page in pages]


class Client:
    """A client of the SDK, every method awaitable, with all that its application is told."""

    def __init__(self, credential, asynchronous, protocol="reliable", **options):
        sdk = async_client if asynchronous else blocking_client
        self.asynchronous = asynchronous
        self.messages, self.connections, self.disconnections, self.stops, self.failed_joins = [], [], [], [], []
        # The blocking form sleeps through an ack, or an opening, that is quicker than it is, until the timeout.
        quick = {
            "ack_timeout": 5,
            "start_timeout": 5,
            "message_retry_total": 1,
            "message_retry_backoff_factor": 0.05,
            "reconnect_retry_total": 20,
            "reconnect_retry_backoff_factor": 0.05,
            "reconnect_retry_backoff_max": 1,
        }
        credential = sdk.WebPubSubClientCredential(credential)
        self.sdk = sdk.WebPubSubClient(credential, protocol_type=PROTOCOLS[protocol], **quick, **options)

    async def open(self):
        told = {
            CallbackType.GROUP_MESSAGE: self.messages,
            CallbackType.SERVER_MESSAGE: self.messages,
            CallbackType.CONNECTED: self.connections,
            CallbackType.DISCONNECTED: self.disconnections,
            CallbackType.STOPPED: self.stops,
            CallbackType.REJOIN_GROUP_FAILED: self.failed_joins,
        }
        for event, heard in told.items():
            await self.subscribe(event, self.listener(lambda args=None, heard=heard: heard.append(args)))
        await self.call("open")
        await eventually(lambda: self.connections, "connected")

    def listener(self, function):
        """What the SDK takes as a callback: a coroutine where it is asynchronous."""
        if not self.asynchronous:
            return function

        async def told(*args):
            function(*args)

        return told

    async def call(self, name, *args, **options):
        method = getattr(self.sdk, name)
        return await (method(*args, **options) if self.asynchronous else asyncio.to_thread(method, *args, **options))

    def __getattr__(self, name):
        return lambda *args, **options: self.call(name, *args, **options)

    @property
    def id(self):
        return self.connections[-1].connection_id

    def in_order(self):
        """The messages as they were received: the blocking form calls back in a thread for each, in no order."""
        numbered = all(message.sequence_id for message in self.messages)
        return sorted(self.messages, key=lambda message: message.sequence_id) if numbered else list(self.messages)

    async def heard(self, count):
        """The first `count` messages, once they are there. More are a mistake."""
        await eventually(lambda: len(self.messages) >= count, f"{count} messages")
        assert len(self.messages) == count, [message.data for message in self.messages]
        return self.in_order()

    async def data(self, count):
        return [message.data for message in await self.heard(count)]

    async def hears(self, data):
        await eventually(lambda: any(message.data == data for message in list(self.messages)), data)


class Proxy:
    """A TCP proxy in front of a server, whose wires can be cut as a bad network does it."""

    def __init__(self, connection_string=CONNECTION_STRING):
        endpoint, key = endpoint_and_key(connection_string)
        host, port = endpoint.removeprefix("http://").split(":")
        self.server = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.connection_string = f"Endpoint=http://{self.address};AccessKey={key};Version=1.0;"
        self.lock = threading.Lock()
        self.wires = []
        self.closed = False
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                down, _ = self.listener.accept()
            except OSError:
                return
            with self.lock:
                if self.closed:
                    reset(down)
                    continue
                up = socket.create_connection(self.server)
                self.accepted += 1
                self.wires.append((down, up))
            for source, target in ((down, up), (up, down)):
                threading.Thread(target=carry, args=(source, target), daemon=True).start()

    def cut(self):
        """Resets all wires, with what is on the way."""
        with self.lock:
            for wire in self.wires:
                for end in wire:
                    reset(end)
            self.wires.clear()

    def close(self):
        """Cuts all wires, and lets no new one come."""
        self.closed = True
        self.cut()

    def open(self):
        self.closed = False

    def stop(self):
        self.listener.close()
        self.close()


def carry(source, target):
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        reset(target)


def reset(end):
    try:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Wakes who is about to read, which a close alone does not.
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()


hubs = 0


def new_hub():
    """The name of a hub that no other test uses."""
    global hubs
    hubs += 1
    return f"python_{os.getpid()}_{hubs}"


ANY = ["webpubsub.joinLeaveGroup", "webpubsub.sendToGroup"]


class Suite(unittest.IsolatedAsyncioTestCase):
    """Tests of one form of the SDKs; what they open is closed after each."""

    asynchronous = False
    protocol = "reliable"

    async def asyncSetUp(self):
        self.hub = new_hub()
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            # The asynchronous form would wait out the second that is between two of its acknowledgements.
            if self.asynchronous and client.sdk._task_seq_ack:
                client.sdk._task_seq_ack.cancel()
        # In the middle of a recovery it passes that on as its own end.
        closing = asyncio.gather(*(client.call("close") for client in self.clients), return_exceptions=True)
        await asyncio.wait_for(closing, DEADLINE)

    def service(self, hub=None, connection_string=CONNECTION_STRING):
        service = Service(hub or self.hub, self.asynchronous, connection_string)
        self.addAsyncCleanup(service.close)
        return service

    def proxy(self, connection_string=CONNECTION_STRING):
        proxy = Proxy(connection_string)
        self.addCleanup(proxy.stop)
        return proxy

    def client(self, credential, **options):
        options.setdefault("protocol", self.protocol)
        client = Client(credential, self.asynchronous, **options)
        self.clients.append(client)
        return client

    async def connect(self, hub=None, *, user_id=None, roles=ANY, groups=None, through=None, **options):
        """A client that is connected. `through` is the proxy that it connects by."""
        tokens = Service(hub or self.hub, False, through.connection_string if through else CONNECTION_STRING).sdk
        blocking = lambda: tokens.get_client_access_token(user_id=user_id, roles=roles, groups=groups or [])["url"]

        async def awaited():
            return blocking()

        client = self.client(awaited if self.asynchronous else blocking, **options)
        await client.open()
        return client

    async def forbidden(self, call):
        """The call is refused, as something that no role allows."""
        with self.assertRaises(SendMessageError) as refused:
            await call
        self.assertEqual(refused.exception.error_detail.name, "Forbidden")

    async def cut_once(self, proxy):
        wires = proxy.accepted
        proxy.cut()
        await eventually(lambda: proxy.accepted > wires, "the SDK comes back")


def both_forms(suite, **variants):
    """The suite for the blocking and the asynchronous form, and each with further settings; for `globals().update`."""
    made = {}
    for form in ("Blocking", "Asynchronous"):
        for name, settings in (variants or {"": {}}).items():
            title = f"{form}{name}{suite.__name__}"
            made[title] = type(
                title,
                (suite, Suite),
                {"asynchronous": form == "Asynchronous", "__module__": suite.__module__, **settings},
            )
    return made
