// SPDX-License-Identifier: Apache-2.0
// A WebSocket client: node ws_client.js '{"url", "ca", "name", "size", "messages"}'; prints JSON.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const { WebSocket } = require("ws");

const args = JSON.parse(process.argv[2]);
const options = args.ca ? { ca: fs.readFileSync(args.ca), servername: args.name } : {};
const socket = new WebSocket(`${args.url}/chat?x=1`, ["one", "two"], options);

function next(event) {
	return new Promise((resolve, reject) => {
		socket.once(event, (...values) => resolve(values));
		if (event !== "close")
			socket.once("close", (code) => reject(new Error(`closed: ${code}`)));
	});
}

async function echo(data) {
	const came = next("message");
	socket.send(data);
	const [got, isBinary] = await came;
	return got.equals(Buffer.from(data)) && isBinary === (typeof data !== "string");
}

async function main() {
	const found = { good: 0 };
	await next("open");
	found.protocol = socket.protocol;
	for (let i = 0; i < args.messages; i++)
		found.good += await echo(i % 2 ? `text ${i}` : crypto.randomBytes(i * 10));
	found.large = await echo(crypto.randomBytes(args.size));
	const pong = next("pong");
	socket.ping("are you there");
	found.pong = (await pong)[0].toString();
	const who = next("message");
	socket.send("who");
	found.who = JSON.parse((await who)[0].toString());
	const closed = next("close");
	socket.send("close");
	const [code, reason] = await closed;
	found.closed = [code, reason.toString()];
	console.log(JSON.stringify(found));
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
