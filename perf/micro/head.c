/* SPDX-License-Identifier: Apache-2.0 */
/*
 * head.c - what one parse and one serialisation of a head cost.
 *
 * usage: micro_head [ROUNDS [SAMPLE]]
 *
 * Prints nanoseconds per call for typical requests and responses. For
 * instructions, run it with 1000 rounds of one sample under 'valgrind
 * --tool=callgrind' and read off the functions parse and serialise.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/http/h1_parse.h"
#include "core/http/h1_write.h"

struct sample {
	const char *name;
	bool response;
	const char *text;
};

static const struct sample samples[] = {
	{ "request of wrk", false,
	  "GET / HTTP/1.1\r\n"
	  "Host: 127.0.0.1:8080\r\n"
	  "\r\n" },
	{ "request of curl", false,
	  "GET /api/v1/users/4711?fields=name HTTP/1.1\r\n"
	  "Host: api.example.com\r\n"
	  "User-Agent: curl/8.14.1\r\n"
	  "Accept: */*\r\n"
	  "\r\n" },
	{ "request of a browser", false,
	  "GET /assets/app.js?v=42 HTTP/1.1\r\n"
	  "Host: www.example.com\r\n"
	  "Connection: keep-alive\r\n"
	  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n"
	  "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
	  "Accept-Language: en-US,en;q=0.5\r\n"
	  "Accept-Encoding: gzip, deflate, br, zstd\r\n"
	  "Referer: https://www.example.com/start\r\n"
	  "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
	  "Sec-Fetch-Mode: no-cors\r\n"
	  "If-None-Match: \"65f1a-3c\"\r\n"
	  "\r\n" },
	{ "small response", true,
	  "HTTP/1.1 200 OK\r\n"
	  "Content-Length: 128\r\n"
	  "Content-Type: text/plain\r\n"
	  "\r\n" },
	{ "response of nginx", true,
	  "HTTP/1.1 200 OK\r\n"
	  "Server: nginx/1.26.3\r\n"
	  "Date: Mon, 23 Nov 2026 10:00:00 GMT\r\n"
	  "Content-Type: text/html\r\n"
	  "Content-Length: 615\r\n"
	  "Last-Modified: Sun, 22 Nov 2026 09:00:00 GMT\r\n"
	  "Connection: keep-alive\r\n"
	  "ETag: \"65f1a-267\"\r\n"
	  "Accept-Ranges: bytes\r\n"
	  "\r\n" },
};

static struct h1_parser parser;
static char bytes[4096], written[4096];

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

__attribute__((noinline)) static void parse(const struct sample *sample, uint32_t len)
{
	memcpy(bytes, sample->text, len);
	if (sample->response)
		h1_parse_response(&parser, &h1_limits_default, HTTP_GET);
	else
		h1_parse_request(&parser, &h1_limits_default);
	if (h1_parse_feed(&parser, bytes, len) != H1_DONE)
		abort();
}

__attribute__((noinline)) static void serialise(const struct sample *sample)
{
	static const struct slice extra =
		SLICE_INIT("x-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: http\r\n");
	const struct http_head *head = &parser.head;
	struct writer out = writer_make(written, sizeof(written));
	struct h1_framing framing = { .body = head->body, .length = head->content_length };

	if (sample->response)
		h1_write_response(&out, head, SLICE(""), &framing);
	else
		h1_write_request(&out, head, &(struct http_rewrite){ 0 }, extra, &framing);
	if (out.overflow)
		abort();
}

static void measure(const struct sample *sample, uint64_t n_rounds)
{
	uint32_t len = (uint32_t)strlen(sample->text);
	uint64_t start_ns = now_ns(), parsed_ns, end_ns;

	for (uint64_t i = 0; i < n_rounds; i++)
		parse(sample, len);
	parsed_ns = now_ns();
	for (uint64_t i = 0; i < n_rounds; i++)
		serialise(sample);
	end_ns = now_ns();
	printf("%-22s %4u bytes  parse %6.0f ns  serialise %6.0f ns\n", sample->name, len,
	       (double)(parsed_ns - start_ns) / (double)n_rounds,
	       (double)(end_ns - parsed_ns) / (double)n_rounds);
}

int main(int argc, char **argv)
{
	uint64_t n_rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
	uint64_t only = argc > 2 ? strtoull(argv[2], NULL, 10) : ARRAY_SIZE(samples);

	for (size_t i = 0; i < ARRAY_SIZE(samples) && n_rounds > 0; i++)
		if (only == ARRAY_SIZE(samples) || only == i)
			measure(&samples[i], n_rounds);
	return 0;
}
