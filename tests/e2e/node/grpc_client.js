// SPDX-License-Identifier: Apache-2.0
// A client of echo.proto: node grpc_client.js '{"address", "ca", "name", "size"}'; prints JSON.
"use strict";
const fs = require("fs");
const { grpc, Echo } = require("./grpc_echo.js");

const args = JSON.parse(process.argv[2]);
const credentials = args.ca ? grpc.credentials.createSsl(fs.readFileSync(args.ca))
	: grpc.credentials.createInsecure();
const client = new Echo(args.address, credentials, {
	"grpc.max_receive_message_length": 64 << 20,
	...(args.ca ? { "grpc.ssl_target_name_override": args.name,
		"grpc.default_authority": args.name } : {}),
});

function deadline(ms) {
	return { deadline: Date.now() + ms };
}

function say(request, metadata = new grpc.Metadata(), options = deadline(20000), method = "Say") {
	return new Promise((resolve) => {
		const found = {};
		const call = client[method](request, metadata, options, (error, answer) => {
			if (error)
				found.error = { code: error.code, details: error.details };
			else
				found.answer = { text: answer.text, number: answer.number,
					length: answer.data.length };
		});
		call.on("metadata", (m) => { found.head = m.toJSON(); });
		call.on("status", (s) => {
			found.trailers = s.metadata.toJSON();
			setImmediate(() => resolve(found));
		});
	});
}

function count(number, size) {
	return new Promise((resolve) => {
		const found = { numbers: 0, bytes: 0, inOrder: true };
		const call = client.Count({ number, data: Buffer.alloc(size, 7) }, deadline(20000));
		call.on("data", (n) => {
			found.numbers++;
			found.bytes += n.data.length;
			found.inOrder = found.inOrder && n.number === found.numbers;
		});
		call.on("error", (e) => { found.error = e.code; });
		call.on("status", (s) => resolve({ ...found, code: s.code }));
	});
}

function collect(texts) {
	return new Promise((resolve) => {
		const call = client.Collect(deadline(20000), (error, answer) =>
			resolve(error ? { error: error.code } : { number: answer.number, text: answer.text }));
		for (const text of texts)
			call.write({ text });
		call.end();
	});
}

// Each one is sent when the one before has come back: neither side may wait for the end.
function talk(rounds) {
	return new Promise((resolve) => {
		const found = { backs: [] };
		const call = client.Talk(deadline(20000));
		call.on("data", (n) => {
			found.backs.push(n.text);
			if (found.backs.length < rounds)
				call.write({ text: `${found.backs.length}` });
			else
				call.end();
		});
		call.on("error", (e) => { found.error = e.code; });
		call.on("status", (s) => resolve({ ...found, code: s.code }));
		call.write({ text: "0" });
	});
}

function cancelled() {
	return new Promise((resolve) => {
		const call = client.Never({ text: "cancel" }, deadline(20000), (e) => resolve(e.code));
		setTimeout(() => call.cancel(), 200);
	});
}

async function main() {
	const found = {};
	const metadata = new grpc.Metadata();
	metadata.set("x-ask", "asked");
	metadata.set("x-data-bin", Buffer.from([0, 1, 254, 255]));
	found.say = await say({ text: "hello" }, metadata);
	found.fail = await say({ text: "fail:5" });
	found.large = await say({ text: "large", data: Buffer.alloc(args.size, 1) });
	found.count = await count(100, 10000);
	found.collect = await collect([...Array(50).keys()].map(String));
	found.talk = await talk(20);
	found.many = await Promise.all([...Array(60).keys()].map((i) => say({ text: `m${i}` })));
	// Client, gateway and server end it at one moment, each by its clock. Once in 800 calls another word than
	// ours comes first, such as a reset in the midst of the server's answer.
	for (let i = 0; i < 2 && found.late?.error.code !== grpc.status.DEADLINE_EXCEEDED; i++)
		found.late = await say({ text: "late" }, new grpc.Metadata(), deadline(300), "Never");
	found.cancelled = await cancelled();
	found.unknown = await new Promise((resolve) => client.makeUnaryRequest("/sluice.test.Echo/None",
		(x) => x, (x) => x, Buffer.alloc(0), (e) => resolve(e.code)));
	found.after = await say({ text: "after" });
	client.close();
	console.log(JSON.stringify(found));
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
