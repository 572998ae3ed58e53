// SPDX-License-Identifier: Apache-2.0
// A server of echo.proto: node grpc_server.js '{"cert", "key"}' (without them in clear); prints
// its port, and a line for each call that was cancelled. Ends with its standard input.
"use strict";
const fs = require("fs");
const { grpc, Echo } = require("./grpc_echo.js");

const args = JSON.parse(process.argv[2]);

function back(call) {
	const metadata = new grpc.Metadata();
	for (const name of ["x-ask", "x-data-bin"])
		for (const value of call.metadata.get(name))
			metadata.add(name, value);
	return metadata;
}

function note(call, done) {
	call.sendMetadata(back(call));
	const failed = /^fail:(\d+)$/.exec(call.request.text);
	const trailers = new grpc.Metadata();
	trailers.set("x-end", "said");
	if (failed)
		done({ code: Number(failed[1]), details: "as asked: \u00fc", metadata: trailers });
	else
		done(null, { ...call.request, text: `said ${call.request.text}` }, trailers);
}

const server = new grpc.Server({ "grpc.max_receive_message_length": 64 << 20 });
server.addService(Echo.service, {
	Say: note,
	Count(call) {
		for (let i = 1; i <= call.request.number; i++)
			call.write({ number: i, data: call.request.data });
		call.end();
	},
	Collect(call, done) {
		const texts = [];
		call.on("data", (n) => texts.push(n.text));
		call.on("end", () => done(null, { number: texts.length, text: texts.join(",") }));
	},
	Talk(call) {
		call.on("data", (n) => call.write({ ...n, text: `back ${n.text}` }));
		call.on("end", () => call.end());
	},
	Never(call) {
		call.on("cancelled", () => console.log(JSON.stringify({ cancelled: call.request.text })));
	},
});
const credentials = args.cert ? grpc.ServerCredentials.createSsl(null,
	[{ cert_chain: fs.readFileSync(args.cert), private_key: fs.readFileSync(args.key) }])
	: grpc.ServerCredentials.createInsecure();
server.bindAsync("127.0.0.1:0", credentials, (error, port) => {
	console.log(JSON.stringify({ port, error: error && error.message }));
});
process.stdin.on("end", () => process.exit(0)).resume();
