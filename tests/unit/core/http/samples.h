/* SPDX-License-Identifier: Apache-2.0 */
/*
 * samples.h - for tests: heads and chunks worth mutating, and the mutations.
 */
#pragma once

#include "core/base/rng.h"
#include "core/base/slice.h"

enum { SAMPLE_SIZE = 2048 };

static const char *const sample_requests[] = {
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"\r\nGET /a/../b?x HTTP/1.1\r\nHOST: EXAMPLE.com.:80\r\nX: \r\nY:\tz \r\n\r\n",
	"POST http://b.example:81/x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
	"POST /%41 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: y\r\n\r\n",
	"PUT / HTTP/1.0\r\nHost: a\r\nContent-Length: 02\t\r\nConnection: keep-alive, x\r\nX: y\r\n\r\nab",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\nTransfer-Encoding: chunked\r\n\r\n",
	"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nMax-Forwards: 0\r\n\r\n",
	"PROPFIND / HTTP/1.1\r\nHost: [::1]:8080\r\nCookie: a=b; c=d\r\nAuthorization: x\r\n\r\n",
	"TRACK / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET https://a/ HTTP/1.1\r\nHost: a\r\nX-Client-Cert-DN: x\r\ntraceparent: 00-1\r\n\r\n",
};

#define SAMPLE_CHUNKED "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

static const char *const sample_bodies[] = {
	SAMPLE_CHUNKED "5\r\nhello\r\n0\r\n\r\n",
	SAMPLE_CHUNKED "1\r\na\r\n1;x\r\nb\r\n1;x=y\r\nc\r\n00\r\nX: y\r\n\r\n",
	SAMPLE_CHUNKED "a;x=\"y;\\\"\"\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n",
	SAMPLE_CHUNKED "0\r\nA: b\r\nHost: c\r\n\r\nGET / HTTP/1.1\r\n\r\n",
	"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n0123456789GET / HTTP/1.1\r\n\r\n",
};

static const char *const sample_responses[] = {
	"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\nabc",
	"HTTP/1.1 304\r\nETag: \"x\"\r\nContent-Length: 100\r\n\r\n",
	"HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nDate: x\r\n\r\nabc",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nConnection: X-A\r\nX-A: b\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
};

/* Bytes that mean something to somebody, and what the fields are made of. */
static const char *const sample_tokens[] = {
	"\r\n",
	"\r",
	"\n",
	" ",
	"\t",
	":",
	",",
	";",
	"_",
	"0",
	"9",
	"a",
	"\x01",
	"\x7f",
	"\x80",
	"\r\n\r\n",
	"\r\n ",
	"Host: b\r\n",
	"Content-Length: 5\r\n",
	"content-length",
	"Transfer-Encoding: chunked\r\n",
	"transfer-encoding:",
	"chunked",
	"Connection: close\r\n",
	"HTTP/1.1",
	"HTTP/1.0",
	"GET ",
	"/../",
	"%2e",
	"%2f",
	"%",
	"http://",
	"*",
	"@",
};

static inline size_t sample_insert(char *text, size_t len, size_t at, const char *piece, size_t n)
{
	if (len + n > SAMPLE_SIZE)
		return len;
	memmove(text + at + n, text + at, len - at);
	memcpy(text + at, piece, n);
	return len + n;
}

/* text[0 .. len), changed in a few places; returns the new length, at least 1. */
static inline size_t sample_mutate(struct rng *rng, char *text, size_t len, uint32_t n_changes)
{
	for (uint32_t i = 0; i < n_changes; i++) {
		size_t at = rng_below(rng, len), n = 1 + rng_below(rng, 12);
		const char *token = sample_tokens[rng_below(rng, ARRAY_SIZE(sample_tokens))];

		n = n < len - at ? n : len - at;
		switch (rng_below(rng, 4)) {
		case 0: /* Leave some out. */
			if (n == len)
				break;
			memmove(text + at, text + at + n, len - at - n);
			len -= n;
			break;
		case 1: /* Say some twice. */
			len = sample_insert(text, len, at, text + at, n);
			break;
		case 2:
			text[at] = (char)rng_below(rng, 256);
			break;
		default:
			len = sample_insert(text, len, at, token, strlen(token));
			break;
		}
	}
	return len;
}
