// SPDX-License-Identifier: Apache-2.0
// A WebSocket server that sends everything back: node ws_server.js '{}'; prints its port. Ends
// with its standard input.
"use strict";
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 64 << 20 }, () =>
	console.log(JSON.stringify({ port: server.address().port })));
server.on("connection", (socket, request) => {
	socket.on("message", (data, isBinary) => {
		if (!isBinary && data.toString() === "close")
			socket.close(4001, "as asked");
		else if (!isBinary && data.toString() === "who")
			socket.send(JSON.stringify({ path: request.url, host: request.headers.host,
				from: request.headers["x-forwarded-for"] }));
		else
			socket.send(data, { binary: isBinary });
	});
});
process.stdin.on("end", () => process.exit(0)).resume();
