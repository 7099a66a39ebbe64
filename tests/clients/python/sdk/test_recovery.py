"""What the client SDK does when its wire is cut, and what the server does about it: nothing is lost, nothing comes twice,
everything comes in order, on the same connection; until the recovery window is over."""

import asyncio

from support import SHORT_WINDOW, both_forms, eventually, new_hub

TEXT = {"content_type": "text/plain"}


class Recoveries:
    async def test_nothing_is_lost_doubled_or_reordered_when_wires_are_cut_while_messages_flow(self):
        count = 2_000
        proxy = self.proxy()
        mark = await self.connect(through=proxy)
        await mark.join_group("numbers")
        sender = await self.connect(protocol="plain")
        connection = mark.id

        async def flow():
            for n in range(count):
                # Never so many ahead that the server's buffer could be full.
                await eventually(lambda: n - len(mark.messages) < 200, f"room for {n}")
                await sender.send_to_group("numbers", n, "json", ack=False)

        async def cut_now_and_then():
            cuts = 0
            while (after := len(mark.messages) + 50) < count:
                # Each recovery gets somewhere: after half a minute of others the SDK would give up.
                await eventually(lambda: len(mark.messages) >= after, f"message {after} after {cuts} cuts")
                await self.cut_once(proxy)
                cuts += 1
            return cuts

        _, cuts = await asyncio.gather(flow(), cut_now_and_then())
        self.assertGreaterEqual(cuts, 4)
        heard = await mark.heard(count)
        self.assertEqual([message.data for message in heard], list(range(count)))
        self.assertEqual([message.sequence_id for message in heard], list(range(1, count + 1)))
        self.assertEqual([args.connection_id for args in mark.connections], [connection])
        self.assertEqual(mark.disconnections, [])

    async def test_what_is_published_while_nobody_is_on_the_wire_arrives_after_it(self):
        proxy = self.proxy()
        mark = await self.connect(user_id="mark", through=proxy)
        await mark.join_group("chess")
        service = self.service()
        proxy.close()
        for n in range(20):
            await service.send_to_group("chess", {"n": n})
        await service.send_to_user("mark", {"n": 20})
        await service.send_to_connection(mark.id, {"n": 21})
        # All this time it counts as connected.
        self.assertTrue(await service.connection_exists(mark.id))
        self.assertTrue(await service.user_exists("mark"))
        self.assertTrue(await service.group_exists("chess"))
        proxy.open()
        self.assertEqual(await mark.data(22), [{"n": n} for n in range(22)])
        self.assertEqual(len(mark.connections), 1)

    async def test_what_an_ack_id_has_done_is_remembered_across_a_cut(self):
        proxy = self.proxy()
        mark = await self.connect(through=proxy)
        await mark.join_group("once")
        await mark.send_to_group("once", "x", "text", ack_id=77)
        await self.cut_once(proxy)
        await eventually(mark.sdk.is_connected, "recovered")
        await mark.send_to_group("once", "x", "text", ack_id=77)
        await mark.send_to_group("once", "end", "text")
        await mark.hears("end")
        self.assertEqual(await mark.data(2), ["x", "end"])
        self.assertEqual(len(mark.connections), 1)

    async def test_after_the_window_is_over_the_sdk_connects_anew_and_joins_its_groups_again(self):
        proxy = self.proxy(SHORT_WINDOW)
        mark = await self.connect(user_id="mark", through=proxy)
        await mark.join_group("a")
        await mark.join_group("left")
        await mark.leave_group("left")
        service = self.service(connection_string=SHORT_WINDOW)
        connection = mark.id

        async def window_is_over():
            return not await service.connection_exists(connection)

        proxy.close()
        await eventually(window_is_over)
        proxy.open()
        await eventually(lambda: len(mark.connections) == 2, "a new connection")
        self.assertNotEqual(mark.id, connection)
        self.assertEqual([args.connection_id for args in mark.disconnections], [connection])
        await eventually(lambda: service.group_exists("a"), "joined again")
        await service.send_to_group("left", "not heard", **TEXT)
        await service.send_to_group("a", "heard", **TEXT)
        self.assertEqual(await mark.data(1), ["heard"])
        self.assertEqual(mark.failed_joins, [])

    async def test_a_connection_that_the_back_end_closes_is_not_recovered_but_made_anew(self):
        mark = await self.connect(user_id="mark")
        await mark.join_group("g")
        connection = mark.id
        service = self.service()
        await service.close_connection(connection, reason="maintenance")
        await eventually(lambda: len(mark.connections) == 2, "a new connection")
        self.assertNotEqual(mark.id, connection)
        self.assertIn("maintenance", mark.disconnections[0].message)
        await eventually(lambda: service.group_exists("g"), "joined again")

    async def test_without_the_reliable_subprotocol_a_cut_is_a_new_connection_in_the_same_groups(self):
        proxy = self.proxy()
        mark = await self.connect(through=proxy, protocol="plain")
        await mark.join_group("g")
        connection = mark.id
        proxy.cut()
        await eventually(lambda: len(mark.connections) == 2, "a new connection")
        self.assertNotEqual(mark.id, connection)
        self.assertEqual([args.connection_id for args in mark.disconnections], [connection])
        service = self.service()
        await eventually(lambda: service.group_exists("g"), "joined again")


globals().update(both_forms(Recoveries))
del Recoveries
