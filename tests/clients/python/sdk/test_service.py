"""Every method of the SDK for back ends, in both of its forms."""

import asyncio
import io

import aiohttp
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

from support import CONNECTION_STRING, KEY, both_forms, eventually

TEXT = {"content_type": "text/plain"}
# URLs are normalised before they leave the client, so "." and ".." are no names for it.
NAMES = [
    "sales/europe",
    "/",
    "a/",
    "a b",
    "a+b",
    "a%2Fb",
    "%2F",
    "%252F",
    "100%",
    "ü",
    "日本",
    "👩‍👩‍👧",
    "a,b",
    "a;b=c",
    "a#b",
    "a:b",
    ":send",
    "a'b",
    'a"b',
    "a&b",
    "{group}",
]


class Services:
    async def test_a_message_to_all_is_from_the_server_in_each_content_type(self):
        clients = [await self.connect(), await self.connect(protocol="plain")]
        service = self.service()
        # In bytes: of a text, the asynchronous form counts the characters as its length.
        await service.send_to_all("Hello, 日本!".encode(), **TEXT)
        await service.send_to_all({"text": "Größe", "list": [1, 2.5, None]})
        await service.send_to_all("a JSON string", content_type="application/json")
        await service.send_to_all(io.BytesIO(b"\x00\x01\xfe\xff"), content_type="application/octet-stream")
        for client in clients:
            heard = [(message.data_type, message.data) for message in await client.heard(4)]
            self.assertCountEqual(
                heard,
                [
                    ("text", "Hello, 日本!"),
                    ("json", {"text": "Größe", "list": [1, 2.5, None]}),
                    ("json", "a JSON string"),
                    ("binary", memoryview(b"\x00\x01\xfe\xff")),
                ],
            )

    async def test_excluded_connections_do_not_get_a_message(self):
        mark, anna = await self.connect(groups=["g"]), await self.connect(groups=["g"])
        service = self.service()
        await service.send_to_all("1", excluded=[anna.id, "nobody, as it is"], **TEXT)
        await service.send_to_group("g", "2", excluded=[anna.id], **TEXT)
        await service.send_to_all("3", **TEXT)
        self.assertEqual(await mark.data(3), ["1", "2", "3"])
        self.assertEqual(await anna.data(1), ["3"])

    async def test_a_user_on_three_devices_is_one_user(self):
        devices = [await self.connect(user_id="mark") for _ in range(3)]
        anna = await self.connect(user_id="anna")
        service = self.service()
        self.assertTrue(await service.user_exists("mark"))
        self.assertFalse(await service.user_exists("nobody"))
        await service.send_to_user("mark", "to the user", **TEXT)
        await service.add_user_to_group("g", "mark")
        await service.add_user_to_group("h", "mark")
        await service.send_to_group("g", "in g", **TEXT)
        await service.remove_user_from_group("g", "mark")
        self.assertFalse(await service.group_exists("g"))
        await service.remove_user_from_all_groups("mark")
        self.assertFalse(await service.group_exists("h"))
        await service.send_to_user("mark", "end", **TEXT)
        for device in devices:
            self.assertEqual(await device.data(3), ["to the user", "in g", "end"])
        self.assertEqual(anna.messages, [])

        kept = devices[0].id
        closed = [device.id for device in devices[1:]]
        await service.close_user_connections("mark", excluded=[kept], reason="enough")
        for device in devices[1:]:
            await eventually(lambda: device.disconnections, "closed")
            self.assertIn("enough", device.disconnections[0].message)
        for connection in closed:
            self.assertFalse(await service.connection_exists(connection))
        self.assertTrue(await service.connection_exists(kept))
        self.assertEqual(devices[0].disconnections + anna.disconnections, [])

    async def test_a_message_to_a_connection_reaches_it_alone(self):
        mark, anna = await self.connect(user_id="mark"), await self.connect(user_id="mark")
        service = self.service()
        await service.send_to_connection(mark.id, "for you", **TEXT)
        await service.send_to_connection("nobody", "lost", **TEXT)
        await service.send_to_all("end", **TEXT)
        self.assertEqual(await mark.data(2), ["for you", "end"])
        self.assertEqual(await anna.data(1), ["end"])

    async def test_a_connection_is_put_into_groups_and_taken_out_of_them(self):
        mark = await self.connect()
        service = self.service()
        self.assertFalse(await service.group_exists("g"))
        await service.add_connection_to_group("g", mark.id)
        self.assertTrue(await service.group_exists("g"))
        await service.send_to_group("g", "1", **TEXT)
        await service.remove_connection_from_group("g", mark.id)
        await service.remove_connection_from_group("g", mark.id)
        self.assertFalse(await service.group_exists("g"))
        await service.add_connection_to_group("g", mark.id)
        await service.remove_connection_from_all_groups(mark.id)
        self.assertFalse(await service.group_exists("g"))
        await service.send_to_all("2", **TEXT)
        self.assertEqual(await mark.data(2), ["1", "2"])

    async def test_who_is_not_there_is_an_error_of_the_sdk_or_does_no_harm(self):
        service = self.service()
        with self.assertRaises(ResourceNotFoundError) as missing:
            await service.add_connection_to_group("g", "nobody")
        self.assertEqual(missing.exception.error.code, "Error.Connection.NotExisted")
        with self.assertRaises(ResourceNotFoundError):
            await service.add_user_to_group("g", "nobody")
        await service.remove_connection_from_group("g", "nobody")
        await service.remove_connection_from_all_groups("nobody")
        await service.remove_user_from_group("g", "nobody")
        await service.remove_user_from_all_groups("nobody")
        await service.close_connection("nobody")
        await service.close_user_connections("nobody")
        await service.close_group_connections("nobody")
        await service.send_to_user("nobody", "x", **TEXT)
        await service.send_to_group("nobody", "x", **TEXT)

    async def test_connections_of_a_group_and_of_a_hub_are_closed_but_those_that_are_excluded(self):
        mark, anna, ines = await self.connect(groups=["g"]), await self.connect(groups=["g"]), await self.connect()
        service = self.service()
        await service.close_group_connections("g", excluded=[anna.id], reason="the group is closed")
        await eventually(lambda: mark.disconnections, "mark is closed")
        self.assertIn("the group is closed", mark.disconnections[0].message)
        self.assertTrue(await service.connection_exists(ines.id))
        await service.close_all_connections(excluded=[anna.id], reason="good night")
        await eventually(lambda: ines.disconnections, "ines is closed")
        self.assertIn("good night", ines.disconnections[0].message)
        self.assertTrue(await service.connection_exists(anna.id))
        self.assertEqual(anna.disconnections, [])

    async def test_permissions_are_granted_asked_for_and_revoked_while_a_client_is_connected(self):
        mark = await self.connect(roles=[])
        service = self.service()
        group = "sales/europe"
        may = lambda permission: service.has_permission(permission, mark.id, target_name=group)
        await self.forbidden(mark.join_group(group))
        self.assertFalse(await may("joinLeaveGroup"))
        await service.grant_permission("joinLeaveGroup", mark.id, target_name=group)
        await service.grant_permission("sendToGroup", mark.id, target_name=group)
        self.assertTrue(await may("joinLeaveGroup"))
        await mark.join_group(group)
        await mark.send_to_group(group, "x", "text")
        self.assertEqual(await mark.data(1), ["x"])
        await service.revoke_permission("sendToGroup", mark.id, target_name=group)
        self.assertFalse(await may("sendToGroup"))
        self.assertTrue(await may("joinLeaveGroup"))
        await self.forbidden(mark.send_to_group(group, "x", "text"))
        # Without a target, for all groups.
        await service.grant_permission("sendToGroup", mark.id)
        await mark.send_to_group("any", "x", "text")
        self.assertFalse(await service.has_permission("sendToGroup", "nobody", target_name=group))

    async def test_a_filter_chooses_who_gets_a_message(self):
        mark, anna = await self.connect(user_id="mark", groups=["sales"]), await self.connect(
            user_id="anna", groups=["sales", "leads"]
        )
        vic, nobody = await self.connect(user_id="vic's"), await self.connect()
        service = self.service()
        await service.send_to_all("1", filter="startswith(userId, 'm') or 'leads' in groups", **TEXT)
        await service.send_to_all("2", filter="userId eq 'vic''s' or userId eq null", **TEXT)
        await service.send_to_group("sales", "3", filter="length(groups) eq 2", **TEXT)
        await service.send_to_user("anna", "4", filter="not ('leads' in groups)", **TEXT)
        for wrong in ("userId", "userId gt 'a'", "nope eq 1"):
            with self.assertRaises(HttpResponseError) as refused:
                await service.send_to_all("x", filter=wrong, **TEXT)
            self.assertEqual((refused.exception.status_code, refused.exception.error.code), (400, "Error.BadRequest"))
        await service.send_to_all("end", **TEXT)
        self.assertEqual(await mark.data(2), ["1", "end"])
        self.assertEqual(await anna.data(3), ["1", "3", "end"])
        self.assertEqual(await vic.data(2), ["2", "end"])
        self.assertEqual(await nobody.data(2), ["2", "end"])

    async def test_more_than_one_page_of_members_is_listed(self):
        service = self.service()
        self.assertEqual(await service.members("all of them"), [[]])
        users = {f"user-{n}" for n in range(410)}
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def enter(user):
                token = await service.get_client_access_token(user_id=user, groups=["all of them"])
                return await session.ws_connect(token["url"])

            # They are connected for as long as somebody has them.
            sockets = await asyncio.gather(*map(enter, users))
            pages = await service.members("all of them")
            self.assertEqual([len(page) for page in pages], [200, 200, 10])
            members = [member for page in pages for member in page]
            self.assertEqual({member.user_id for member in members}, users)
            self.assertEqual(len({member.connection_id for member in members}), len(users))
            first = [member for page in await service.members("all of them", top=250) for member in page]
            self.assertEqual(
                [member.connection_id for member in first], [member.connection_id for member in members[:250]]
            )
            del sockets

    async def test_every_route_takes_every_name(self):
        mark, anna = await self.connect(user_id="mark"), await self.connect(user_id="anna")
        await self.every_route(self.service(), mark, anna, NAMES)

    async def test_where_masks_are_off_their_characters_are_ordinary(self):
        mark, anna = await self.connect("literal", user_id="mark"), await self.connect("literal", user_id="anna")
        await self.every_route(self.service("literal"), mark, anna, ["*", "sales/*", "a?b=c&d", "[ab]"])

    async def every_route(self, service, mark, anna, names):
        for name in names:
            with self.subTest(name):
                mark.messages.clear()
                await mark.join_group(name)
                await mark.send_to_group(name, "by a client", "text")
                await service.send_to_group(
                    name, "by the back end", filter="'{}' in groups".format(name.replace("'", "''")), **TEXT
                )
                self.assertEqual(await mark.data(2), ["by a client", "by the back end"])
                self.assertEqual({message.group for message in mark.messages}, {name})
                await service.add_connection_to_group(name, anna.id)
                members = [member.user_id for page in await service.members(name) for member in page]
                self.assertEqual(sorted(members), ["anna", "mark"])
                await service.remove_connection_from_group(name, anna.id)
                await service.remove_user_from_group(name, "mark")
                self.assertFalse(await service.group_exists(name))
                await service.add_user_to_group(name, "mark")
                self.assertTrue(await service.group_exists(name))
                await service.remove_user_from_all_groups("mark")
                self.assertFalse(await service.group_exists(name))
                await service.grant_permission("sendToGroup", anna.id, target_name=name)
                self.assertTrue(await service.has_permission("sendToGroup", anna.id, target_name=name))
                await service.revoke_permission("sendToGroup", anna.id, target_name=name)
                self.assertFalse(await service.has_permission("sendToGroup", anna.id, target_name=name))
                await service.close_group_connections(name)

    async def test_every_route_takes_every_id_of_a_user(self):
        service = self.service()
        for user in NAMES + ["a?b=c&d", "user@example.com", "*"]:
            with self.subTest(user):
                mark = await self.connect(user_id=user, protocol="plain")
                self.assertEqual(mark.connections[0].user_id, user)
                self.assertTrue(await service.user_exists(user))
                await service.send_to_user(user, "x", **TEXT)
                await service.add_user_to_group("g", user)
                await service.remove_user_from_group("g", user)
                await service.remove_user_from_all_groups(user)
                self.assertEqual(await mark.data(1), ["x"])
                await service.close_user_connections(user)
                await eventually(lambda: mark.disconnections, "closed")

    async def test_a_wrong_key_is_an_error_of_authentication(self):
        service = self.service(connection_string=CONNECTION_STRING.replace(KEY, KEY + "x"))
        with self.assertRaises(ClientAuthenticationError):
            await service.send_to_all("x", **TEXT)

    async def test_metadata_in_headers_goes_with_the_message(self):
        # The SDK hands no metadata to its application, and is not disturbed by it.
        mark = await self.connect()
        await self.service().send_to_all("x", headers={"X-WebPubSub-Metadata-Trace": "4711"}, **TEXT)
        self.assertEqual(await mark.data(1), ["x"])

    async def test_hubs_have_no_case(self):
        mark = await self.connect(user_id="mark")
        await self.service(self.hub.upper()).send_to_user("mark", "x", **TEXT)
        self.assertEqual(await mark.data(1), ["x"])


globals().update(both_forms(Services))
del Services
