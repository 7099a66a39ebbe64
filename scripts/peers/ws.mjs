// The peer `ws` of scripts/measure: the text protocol of wsbench's adapter `raw` on npm's ws, done as well as it allows.
//
//   node ws.mjs PORT
//
// J<group> joins, L<group> leaves, P<group> BODY publishes to the others in the group. A message is framed once and the
// frame written to each socket, which is the fastest that ws offers.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(`${process.cwd()}/`));
const { WebSocketServer, Sender } = require('ws');

const groups = new Map();

function join(socket, group) {
    leave(socket);
    socket.group = group;
    if (!groups.has(group)) groups.set(group, new Set());
    groups.get(group).add(socket);
}

function leave(socket) {
    const members = groups.get(socket.group);
    members?.delete(socket);
    if (members?.size === 0) groups.delete(socket.group);
    socket.group = undefined;
}

function publish(from, group, body) {
    const frame = Sender.frame(body, { fin: true, opcode: 1, mask: false, rsv1: false, readOnly: true });
    for (const member of groups.get(group) ?? []) {
        if (member === from) continue;
        member._socket.cork();
        for (const part of frame) member._socket.write(part);
        member._socket.uncork();
    }
}

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false, clientTracking: false });
server.on('connection', (socket) => {
    socket._socket.setNoDelay(true);
    socket.on('error', () => {});
    socket.on('close', () => leave(socket));
    socket.on('message', (data) => {
        const space = data.indexOf(0x20);
        const group = data.toString('latin1', 1, space < 0 ? data.length : space);
        if (data[0] === 0x4a) {
            join(socket, group);
            socket.send('j');
        } else if (data[0] === 0x4c) {
            leave(socket);
            socket.send('l');
        } else if (data[0] === 0x50) {
            publish(socket, group, data.subarray(space + 1));
        }
    });
});
http.listen(Number(process.argv[2]), '127.0.0.1', 4096, () => console.log(`listening ${process.argv[2]} ws`));
