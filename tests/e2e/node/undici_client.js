// SPDX-License-Identifier: Apache-2.0
// undici, HTTP/2 allowed or not: node undici_client.js '{"url", "ca", "name", "h2", "size"}'.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const { Agent, fetch, request } = require("undici");

const args = JSON.parse(process.argv[2]);
const connect = args.ca ? { ca: fs.readFileSync(args.ca), servername: args.name } : {};
const dispatcher = new Agent({ allowH2: args.h2, connect, connections: 4 });

function sha256(data) {
	return crypto.createHash("sha256").update(data).digest("hex");
}

async function ask(path, options) {
	const answer = await request(args.url + path, { dispatcher, ...options });
	const body = Buffer.from(await answer.body.arrayBuffer());
	return { status: answer.statusCode, length: body.length, digest: sha256(body),
		text: body.length < 200 ? body.toString("latin1") : undefined,
		nonce: answer.headers["x-nonce"] };
}

async function main() {
	const found = {};
	const big = crypto.randomBytes(args.size);
	found.bigDigest = sha256(big);
	found.get = await ask("/get", { headers: { "x-nonce": "n1" } });
	found.head = await ask("/head", { method: "HEAD" });
	found.upload = await ask("/upload", { method: "POST", body: big });
	found.download = await ask(`/bytes/${args.size}`);
	found.many = await Promise.all([...Array(50).keys()].map(
		(i) => ask(`/many/${i}`, { headers: { "x-nonce": `m${i}` } })));
	const fetched = await fetch(`${args.url}/fetched`, { dispatcher });
	found.fetched = { status: fetched.status, text: await fetched.text() };
	await dispatcher.close();
	console.log(JSON.stringify(found));
}

main().catch((e) => {
	console.error(e);
	process.exit(1);
});
