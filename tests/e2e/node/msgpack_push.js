// SPDX-License-Identifier: Apache-2.0
// A policy pushed by @msgpack/msgpack: node msgpack_push.js '{"socket", "policy", "options"}'; prints
// the reply as JSON.
"use strict";
const net = require("net");
const { decode, encode } = require("@msgpack/msgpack");

const args = JSON.parse(process.argv[2]);
const body = encode({ v: 1, id: 7, command: "push_policy", args: { policy: args.policy } },
	args.options || {});
const frame = Buffer.alloc(4 + body.length);
frame.writeUInt32BE(body.length);
frame.set(body, 4);

const socket = net.createConnection(args.socket, () => socket.write(frame));
let got = Buffer.alloc(0);
socket.on("data", (piece) => {
	got = Buffer.concat([got, piece]);
	if (got.length >= 4 && got.length >= 4 + got.readUInt32BE())
		socket.end(() => console.log(JSON.stringify(decode(got.subarray(4)))));
});
socket.on("error", (e) => {
	console.error(e);
	process.exit(1);
});
