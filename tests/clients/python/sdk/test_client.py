"""Every method of the client SDK, in both of its forms and both of its subprotocols."""

from azure.messaging.webpubsubclient.models import CallbackType, OpenClientError, SendMessageError, WebPubSubDataType

from support import ANY, both_forms, eventually, new_hub


class Clients:
    async def test_a_client_learns_who_it_is(self):
        mark = await self.connect(user_id="märk/1")
        self.assertEqual(mark.connections[0].user_id, "märk/1")
        self.assertTrue(mark.sdk.is_connected())
        self.assertTrue(await self.service().connection_exists(mark.id))
        nobody = await self.connect()
        self.assertFalse(nobody.connections[0].user_id)
        self.assertNotEqual(nobody.id, mark.id)

    async def test_a_tokens_groups_are_joined_from_the_start(self):
        mark = await self.connect(user_id="mark", groups=["sales/europe", "chess"])
        await self.service().send_to_group("chess", "check", content_type="text/plain")
        self.assertEqual(await mark.data(1), ["check"])

    async def test_each_kind_of_data_arrives_as_what_it_was(self):
        mark, anna = await self.connect(user_id="mark"), await self.connect()
        await anna.join_group("sales/europe")
        json = {"text": "Größe 10²", "list": [1, 2.5, True, None], "nested": {"empty": {}}}
        everything = memoryview(bytes(range(256)))
        await mark.send_to_group("sales/europe", "Hello, 日本!", WebPubSubDataType.TEXT)
        await mark.send_to_group("sales/europe", json, WebPubSubDataType.JSON)
        await mark.send_to_group("sales/europe", "a JSON string", WebPubSubDataType.JSON)
        await mark.send_to_group("sales/europe", everything, WebPubSubDataType.BINARY)
        await mark.send_to_group("sales/europe", memoryview(b"\x08\x01"), WebPubSubDataType.PROTOBUF)
        heard = {message.data_type: message for message in await anna.heard(5) if message.data != "a JSON string"}
        self.assertEqual(heard["text"].data, "Hello, 日本!")
        self.assertEqual(heard["json"].data, json)
        self.assertEqual(heard["binary"].data, everything)
        self.assertEqual(heard["protobuf"].data, memoryview(b"\x08\x01"))
        for message in anna.messages:
            self.assertEqual((message.group, message.from_user_id), ("sales/europe", "mark"))
        numbers = [1, 2, 3, 4, 5] if self.protocol == "reliable" else [None] * 5
        self.assertEqual([message.sequence_id for message in anna.in_order()], numbers)

    async def test_a_sender_hears_itself_unless_it_wants_no_echo(self):
        mark = await self.connect()
        await mark.join_group("echo")
        await mark.send_to_group("echo", "not heard", "text", no_echo=True)
        await mark.send_to_group("echo", "heard", "text")
        self.assertEqual(await mark.data(1), ["heard"])

    async def test_what_is_sent_without_waiting_for_an_ack_arrives(self):
        mark, anna = await self.connect(), await self.connect()
        await anna.join_group("numbers")
        for n in range(50):
            await mark.send_to_group("numbers", n, "json", ack=False)
        self.assertEqual(sorted(await anna.data(50)), list(range(50)))

    async def test_who_has_left_a_group_hears_nothing_of_it(self):
        mark = await self.connect()
        await mark.join_group("left")
        await mark.join_group("kept")
        await mark.leave_group("left")
        await mark.send_to_group("left", "not heard", "text")
        await mark.send_to_group("kept", "heard", "text")
        self.assertEqual(await mark.data(1), ["heard"])

    async def test_an_ack_id_that_was_used_before_is_a_duplicate_which_the_sdk_takes_for_success(self):
        mark = await self.connect()
        await mark.join_group("once")
        await mark.send_to_group("once", "x", "text", ack_id=4711)
        await mark.send_to_group("once", "x", "text", ack_id=4711)
        await mark.send_to_group("once", "end", "text")
        await mark.hears("end")
        self.assertCountEqual(await mark.data(2), ["x", "end"])

    async def test_what_no_role_allows_is_forbidden_after_the_sdks_retries_and_the_connection_stays(self):
        mark = await self.connect(roles=["webpubsub.joinLeaveGroup.mine", "webpubsub.sendToGroup.mine"])
        # Each operation is tried twice, under an ack id of its own.
        for ack_id, refused in (
            (2, mark.join_group("yours")),
            (4, mark.leave_group("yours")),
            (6, mark.send_to_group("yours", "x", "text")),
        ):
            with self.assertRaises(SendMessageError) as error:
                await refused
            self.assertEqual(error.exception.error_detail.name, "Forbidden")
            self.assertTrue(error.exception.error_detail.message)
            self.assertEqual(error.exception.ack_id, ack_id)
        await mark.send_to_group("yours", "dropped", "text", ack=False)
        await mark.join_group("mine")
        await mark.send_to_group("mine", "x", "text")
        self.assertEqual(await mark.data(1), ["x"])
        self.assertEqual(mark.disconnections, [])

    async def test_a_pattern_role_allows_the_groups_that_it_matches(self):
        mark = await self.connect(roles=["webpubsub.joinLeaveGroups.team.*", "webpubsub.sendToGroups.team.**"])
        await mark.join_group("team.red")
        await self.forbidden(mark.join_group("team.red.leads"))
        await self.forbidden(mark.send_to_group("other", "x", "text"))
        await mark.send_to_group("team.red", "x", "text")
        self.assertEqual(await mark.data(1), ["x"])

    async def test_an_event_that_nobody_handles_is_not_found(self):
        mark = await self.connect()
        with self.assertRaises(SendMessageError) as refused:
            await mark.send_event("poll.start", {"question": "Lunch?"}, WebPubSubDataType.JSON)
        self.assertEqual(refused.exception.error_detail.name, "NotFound")
        await mark.send_event("poll.start", "x", WebPubSubDataType.TEXT, ack=False)
        await mark.join_group("still here")

    async def test_a_listener_that_was_taken_off_hears_nothing_more(self):
        mark = await self.connect()
        heard = []
        listener = mark.listener(heard.append)
        await mark.subscribe(CallbackType.GROUP_MESSAGE, listener)
        await mark.join_group("g")
        await mark.send_to_group("g", "1", "text")
        await eventually(lambda: heard, "1")
        await mark.unsubscribe(CallbackType.GROUP_MESSAGE, listener)
        await mark.send_to_group("g", "2", "text")
        await mark.hears("2")
        self.assertEqual(len(heard), 1)

    async def test_who_closes_is_gone_at_once_and_leaves_its_groups(self):
        group = new_hub()
        anna, mark = await self.connect("hall"), await self.connect("hall", user_id="mark")
        await anna.join_group(group)
        await mark.join_group(group)
        connection = mark.id
        await mark.call("close")
        await eventually(lambda: mark.stops and mark.disconnections, "stopped")
        self.assertFalse(mark.sdk.is_connected())
        # Long before the recovery window would be over.
        await anna.hears("mark has disconnected.")
        self.assertFalse(await self.service("hall").connection_exists(connection))

    async def test_a_client_is_open_while_its_block_is(self):
        url = (await self.service().get_client_access_token(user_id="mark", roles=ANY))["url"]

        async def given():
            return url

        mark = self.client(given if self.asynchronous else url)
        enter, leave = ("__aenter__", "__aexit__") if self.asynchronous else ("__enter__", "__exit__")
        await mark.call(enter)
        await mark.join_group("g")
        self.assertTrue(await self.service().user_exists("mark"))
        await mark.call(leave, None, None, None)
        await eventually(self.nobody_is("mark"), "closed")

    def nobody_is(self, user):
        service = self.service()

        async def gone():
            return not await service.user_exists(user)

        return gone

    async def test_a_token_that_is_wrong_is_an_error_of_opening(self):
        url = (await self.service().get_client_access_token())["url"]

        async def wrong():
            return url + "x"

        mark = self.client(wrong if self.asynchronous else url + "x")
        with self.assertRaises(OpenClientError) as refused:
            await mark.call("open")
        self.assertIn("401", str(refused.exception))

    async def test_a_mask_reaches_each_member_of_a_matching_group_once(self):
        mark = await self.connect(groups=["sales/europe", "sales/asia"])
        anna = await self.connect()
        await anna.send_to_group("sales/*", "one copy", "text")
        await anna.send_to_group("*", "end", "text")
        await mark.hears("end")
        self.assertCountEqual(await mark.data(2), ["one copy", "end"])


globals().update(both_forms(Clients, Plain={"protocol": "plain"}, Reliable={"protocol": "reliable"}))
del Clients
