"""Three people meet in the demo hub of config.yaml: pip install websockets, cargo run --release, python examples/demo.py"""

import asyncio
import base64
import json

import websockets

# Long enough for everybody to have heard what was said before, so that the lines stand in the order of the story.
PAUSE = 0.3


class Person:
    async def connect(self, name, login):
        self.name = name
        password = login.replace("user", "password")
        basic = base64.b64encode(f"{login}:{password}".encode()).decode()
        self.socket = await websockets.connect(
            "ws://127.0.0.1:8080/ws",
            subprotocols=["json.webpubsub.azure.v1"],
            additional_headers={"Authorization": f"Basic {basic}"},
        )
        self.listener = asyncio.create_task(self.listen())
        await asyncio.sleep(PAUSE)
        return self

    async def listen(self):
        async for text in self.socket:
            frame = json.loads(text)
            match frame["type"]:
                case "message":
                    text = f"[{frame['group']}] {frame['data']}"
                case "system":
                    text = f"connected, in {frame['groups']}"
            print(f"{self.name} ← {text}")

    async def say(self, **frame):
        print(f"{self.name} → {json.dumps(frame)}")
        await self.socket.send(json.dumps(frame))
        await asyncio.sleep(PAUSE)

    async def send(self, group, text, **more):
        await self.say(type="sendToGroup", group=group, dataType="text", data=text, **more)

    async def leave(self):
        print(f"{self.name} closes the connection")
        await self.socket.close()
        await asyncio.sleep(PAUSE)


async def main():
    mark = await Person().connect("Mark", "user-1")
    anna = await Person().connect("Anna", "user-2")
    ines = await Person().connect("Ines", "user-4")
    await anna.say(type="joinGroup", group="Sales", ackId=1)
    await mark.send("*", "Hello All Members.", noEcho=True)
    await mark.send("admin", "Hello Admin Members.")
    await mark.send("sales/*", "Hello Sales Members.")
    await mark.send("accounting", "Hello Accounting Members.", mustExist=True, ackId=1)
    await mark.send("marketing", "Is anybody there?", mustExist=True, ackId=2)
    await anna.leave()
    await ines.leave()
    await mark.leave()


asyncio.run(main())
