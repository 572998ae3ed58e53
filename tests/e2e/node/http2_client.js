// SPDX-License-Identifier: Apache-2.0
// Node's own HTTP/2 client: node http2_client.js '{"url", "ca", "name", "size"}'; prints JSON.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const http2 = require("http2");

const args = JSON.parse(process.argv[2]);
const options = args.ca ? { ca: fs.readFileSync(args.ca), servername: args.name } : {};
const session = http2.connect(args.url, options);

function sha256(data) {
	return crypto.createHash("sha256").update(data).digest("hex");
}

// One request: {status, body length and digest, trailers, or the error}.
function ask(headers, body, trailers) {
	return new Promise((resolve) => {
		const found = { interim: [] };
		const hash = crypto.createHash("sha256");
		let length = 0;
		const stream = session.request(headers, { endStream: body === undefined,
			waitForTrailers: trailers !== undefined });
		stream.on("wantTrailers", () => stream.sendTrailers(trailers));
		stream.on("headers", (h) => found.interim.push(h[":status"]));
		stream.on("response", (h) => {
			found.status = h[":status"];
			found.nonce = h["x-nonce"];
		});
		stream.on("trailers", (t) => { found.trailers = { ...t }; });
		stream.on("data", (piece) => {
			hash.update(piece);
			length += piece.length;
		});
		stream.on("error", (e) => { found.error = e.code; });
		stream.on("close", () => resolve({ ...found, length, digest: hash.digest("hex") }));
		if (body !== undefined)
			stream.end(body);
	});
}

async function main() {
	const found = { settings: {} };
	session.on("remoteSettings", (s) => { found.settings = s; });
	found.get = await ask({ ":path": "/get", "x-nonce": "n1" });
	found.alpn = session.alpnProtocol;
	found.head = await ask({ ":path": "/head", ":method": "HEAD" });
	const big = crypto.randomBytes(args.size);
	found.bigDigest = sha256(big);
	found.upload = await ask({ ":path": "/upload", ":method": "POST",
		"content-length": big.length }, big);
	found.streamed = await ask({ ":path": "/upload", ":method": "POST" }, big, { "x-sum": "1" });
	found.download = await ask({ ":path": `/bytes/${args.size}` });
	found.trailers = await ask({ ":path": "/trailers" });
	found.many = await Promise.all([...Array(90).keys()].map(
		(i) => ask({ ":path": `/many/${i}`, "x-nonce": `m${i}` })));
	found.ping = await new Promise((resolve) => session.ping((e) => resolve(e ? e.code : "ok")));
	const cancelled = session.request({ ":path": "/hang" });
	found.cancelled = await new Promise((resolve) => {
		cancelled.on("error", (e) => resolve(e.code));
		cancelled.on("close", () => resolve(cancelled.rstCode));
		setTimeout(() => cancelled.close(http2.constants.NGHTTP2_CANCEL), 100);
	});
	found.after = await ask({ ":path": "/after" });
	session.close();
	console.log(JSON.stringify(found));
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
