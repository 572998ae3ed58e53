/* SPDX-License-Identifier: Apache-2.0 */
/* What is said of a client: of strangers nothing is believed, a trusted proxy is quoted. */
#include "core/proxy/forward.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/metric_render.h"
#include "core/http/h1_parse.h"

#define ID "x-request-id: i\r\n"

static struct proxy *proxy; /* Only options, metrics and random numbers of it are used. */
static struct proxy_options options = { .via = SLICE_INIT("gw-1") };
static struct h1_parser parser;
static char text[4096];

static struct http_head *parse(const char *method, const char *host, const char *fields)
{
	int len = snprintf(text, sizeof(text), "%s /p HTTP/1.1\r\nhost: %s\r\n%s\r\n", method, host,
			   fields);

	assert_true(len > 0 && (size_t)len < sizeof(text));
	h1_parse_request(&parser, &h1_limits_default);
	if (h1_parse_feed(&parser, text, (uint32_t)len) != H1_DONE)
		fail_msg("%s: refused for %.*s", fields,
			 SLICE_ARG(reason_label(parser.refusal.reason)));
	return &parser.head;
}

static struct peer peer_at(const char *ip)
{
	struct peer peer = { .family = AF_UNIX };

	if (ip[0] == '/')
		return peer;
	peer.family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	assert_int_equal(inet_pton(peer.family, ip, peer.ip), 1);
	return peer;
}

static struct slice forward(struct http_head *head, const char *ip, bool trusted)
{
	static char out_text[8192];
	struct writer out = writer_make(out_text, sizeof(out_text));
	struct peer peer = peer_at(ip);
	const struct forward_client client = { .peer = &peer, .trusted = trusted };
	char id[FORWARD_ID_MAX];
	size_t len = forward_request(proxy, head, &client, &out, id);

	assert_in_range(len, 1, FORWARD_ID_MAX);
	assert_false(out.overflow);
	return writer_slice(&out);
}

static const struct {
	const char *name;
	bool trusted;
	const char *ip, *host, *fields, *want;
} cases[] = {
	{ "a stranger", false, "192.0.2.1", "h", "",
	  "x-forwarded-for: 192.0.2.1\r\nx-real-ip: 192.0.2.1\r\nx-forwarded-proto: http\r\n"
	  "x-forwarded-host: h\r\nforwarded: for=192.0.2.1;host=\"h\";proto=http\r\n" },
	{ "a stranger's words are dropped", false, "192.0.2.1", "h:81",
	  "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n"
	  "X-Forwarded-Port: 1\r\nForwarded: for=10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n",
	  "x-forwarded-for: 192.0.2.1\r\nx-real-ip: 192.0.2.1\r\nx-forwarded-proto: http\r\n"
	  "x-forwarded-host: h:81\r\nforwarded: for=192.0.2.1;host=\"h:81\";proto=http\r\n" },
	{ "IPv6", false, "2001:db8::1", "[2001:db8::2]:81", "",
	  "x-forwarded-for: 2001:db8::1\r\nx-real-ip: 2001:db8::1\r\nx-forwarded-proto: http\r\n"
	  "x-forwarded-host: [2001:db8::2]:81\r\n"
	  "forwarded: for=\"[2001:db8::1]\";host=\"[2001:db8::2]:81\";proto=http\r\n" },
	{ "a local client", false, "/", "h", "",
	  "x-forwarded-for: unix\r\nx-real-ip: unix\r\nx-forwarded-proto: http\r\n"
	  "x-forwarded-host: h\r\nforwarded: for=unknown;host=\"h\";proto=http\r\n" },
	{ "a trusted proxy", true, "10.0.0.9", "h",
	  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.b\r\n"
	  "X-Forwarded-Port: 443\r\nForwarded: for=192.0.2.1\r\nX-Real-IP: 192.0.2.1\r\n",
	  "x-forwarded-for: 192.0.2.1, 10.0.0.9\r\nx-real-ip: 192.0.2.1\r\n"
	  "x-forwarded-proto: https\r\nx-forwarded-host: a.b\r\nx-forwarded-port: 443\r\n"
	  "forwarded: for=192.0.2.1, for=10.0.0.9;host=\"h\";proto=http\r\n" },
	{ "a trusted proxy that says nothing", true, "10.0.0.9", "h", "",
	  "x-forwarded-for: 10.0.0.9\r\nx-real-ip: 10.0.0.9\r\nx-forwarded-proto: http\r\n"
	  "x-forwarded-host: h\r\nforwarded: for=10.0.0.9;host=\"h\";proto=http\r\n" },
	{ "a list over several lines", true, "10.0.0.9", "h",
	  "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2, 192.0.2.3\r\n",
	  "X-Forwarded-For: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2, 192.0.2.3, 10.0.0.9\r\n"
	  "x-real-ip: 10.0.0.9\r\nx-forwarded-proto: http\r\nx-forwarded-host: h\r\n"
	  "forwarded: for=10.0.0.9;host=\"h\";proto=http\r\n" },
};

static void clients_are_told_of(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char fields[2048], want[2048];
		struct http_head *head;
		struct slice got;

		(void)snprintf(fields, sizeof(fields), "%s" ID, cases[i].fields);
		(void)snprintf(want, sizeof(want), "%svia: 1.1 gw-1\r\n" ID, cases[i].want);
		head = parse("GET", cases[i].host, fields);
		got = forward(head, cases[i].ip, cases[i].trusted);
		if (!slice_eq(got, slice_of(want)))
			fail_msg("%s:\n%.*swant\n%s", cases[i].name, SLICE_ARG(got), want);
		for (uint16_t k = 0; k < head->n_fields; k++)
			if (http_field_class(head->fields[k].id) == HTTP_CLASS_FORWARDED)
				assert_true(head->fields[k].dropped);
	}
}

/* Whatever a stranger writes into a forwarding field, no byte of it passes. */
static void dropped_words_are_counted(void **state)
{
	const struct metric_view view = { .sets = &proxy->metrics, .n_sets = 1 };
	uint64_t before = metric_sum_counter(&view, METRIC_STRIPPED + METRIC_STRIPPED_FORWARDED);
	struct slice got;

	(void)state;
	got = forward(parse("GET", "h", "Forwarded: for=evil\r\nForwarded: for=evil\r\n" ID),
		      "192.0.2.1", false);
	assert_true(slice_find_slice(got, SLICE("evil")) == SLICE_NONE);
	assert_int_equal(metric_sum_counter(&view, METRIC_STRIPPED + METRIC_STRIPPED_FORWARDED),
			 before + 2);
}

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static struct slice forward_identified(struct http_head *head, bool trusted, bool identified)
{
	static char out_text[8192];
	struct writer out = writer_make(out_text, sizeof(out_text));
	struct tls_identity identity = { .subject_len = 4, .subject = "CN=a" };
	struct peer peer = peer_at("192.0.2.1");
	const struct forward_client client = { .peer = &peer,
					       .identity = identified ? &identity : NULL,
					       .san = SLICE("uri:spiffe://t/a"),
					       .trusted = trusted,
					       .secure = true };
	char id[FORWARD_ID_MAX];

	memcpy(identity.sha256, SHA, sizeof(identity.sha256));
	(void)forward_request(proxy, head, &client, &out, id);
	return writer_slice(&out);
}

static bool has(struct slice lines, const char *what)
{
	return slice_find_slice(lines, slice_of(what)) != SLICE_NONE;
}

/* What a client has proved is told, and nobody but a trusted proxy can say it in its place. */
static void certificates_are_told_of(void **state)
{
	static const char forged[] =
		"X-Client-Cert-Subject: CN=forged\r\nX-Client-Cert-Sha256: 1\r\n"
		"X-Client-Cert-San: dns:forged\r\n" ID;
	struct http_head *head;
	struct slice got;

	(void)state;
	got = forward_identified(parse("GET", "h", forged), false, true);
	assert_true(has(got, "x-client-cert-sha256: " SHA "\r\nx-client-cert-subject: CN=a\r\n"
			     "x-client-cert-san: uri:spiffe://t/a\r\n"));
	assert_true(has(got, "x-forwarded-proto: https\r\n") && has(got, ";proto=https\r\n"));
	assert_false(has(got, "forged"));
	head = parse("GET", "h", forged);
	got = forward_identified(head, false, false);
	assert_false(has(got, "client-cert"));
	for (uint16_t i = 0; i < head->n_fields; i++)
		assert_true(head->fields[i].dropped ||
			    head->fields[i].id != HTTP_FIELD_X_CLIENT_CERT);
	/* A proxy that shows its own certificate speaks of its client: each field as it came. */
	head = parse("GET", "h", forged);
	got = forward_identified(head, true, true);
	assert_false(has(got, "client-cert"));
	for (uint16_t i = 0; i < head->n_fields; i++)
		assert_false(head->fields[i].dropped &&
			     head->fields[i].id == HTTP_FIELD_X_CLIENT_CERT);
	got = forward_identified(parse("GET", "h", ID), true, true);
	assert_true(has(got, "x-client-cert-subject: CN=a\r\n"));
}

static const struct {
	const char *fields;
	const char *want; /* NULL: made by us. */
} ids[] = {
	{ "x-request-id: abc-DEF_1.2:3+4=5/6\r\n", "abc-DEF_1.2:3+4=5/6" },
	{ "X-Request-Id: 1234567890123456789012345678901234567890123456789012345678901234\r\n",
	  "1234567890123456789012345678901234567890123456789012345678901234" },
	{ "x-request-id: 12345678901234567890123456789012345678901234567890123456789012345\r\n",
	  NULL },
	{ "x-request-id: a b\r\n", NULL },
	{ "x-request-id: \"a\"\r\n", NULL },
	{ "x-request-id: a,b\r\n", NULL },
	{ "x-request-id: \r\n", NULL },
	{ "x-request-id: <script>\r\nx-request-id: good\r\nx-request-id: other\r\n", "good" },
	{ "", NULL },
};

/* "x-request-id: ID" is the last line. */
static struct slice id_of(struct slice lines)
{
	size_t at = slice_find_slice(lines, SLICE("x-request-id: "));
	struct slice id;

	assert_true(at != SLICE_NONE);
	id = slice_drop(lines, at + 14);
	return slice_take(id, id.len - 2);
}

static void ids_are_kept_or_made(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		struct slice id = id_of(forward(parse("GET", "h", ids[i].fields), "::1", false));

		if (ids[i].want && !slice_eq(id, slice_of(ids[i].want)))
			fail_msg("%s: got %.*s", ids[i].fields, SLICE_ARG(id));
		if (ids[i].want)
			continue;
		assert_int_equal(id.len, 32);
		for (size_t k = 0; k < id.len; k++)
			assert_true(slice_find(SLICE("0123456789abcdef"), id.ptr[k]) != SLICE_NONE);
	}
}

static void made_ids_differ(void **state)
{
	char first[32];

	(void)state;
	memcpy(first, id_of(forward(parse("GET", "h", ""), "::1", false)).ptr, sizeof(first));
	assert_memory_not_equal(id_of(forward(parse("GET", "h", ""), "::1", false)).ptr, first,
				sizeof(first));
}

static const struct {
	const char *method, *fields, *want; /* NULL: no line of ours. */
} hops[] = {
	{ "OPTIONS", "max-forwards: 5\r\n", "max-forwards: 4\r\n" },
	{ "OPTIONS", "max-forwards: 1\r\n", "max-forwards: 0\r\n" },
	{ "OPTIONS", "max-forwards: x\r\n", NULL },
	{ "OPTIONS", "max-forwards: -1\r\n", NULL },
	{ "OPTIONS", "", NULL },
	{ "GET", "max-forwards: 5\r\n", NULL }, /* Ignored where it has no meaning. */
};

static void hops_are_counted(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hops); i++) {
		struct http_head *head = parse(hops[i].method, "h", hops[i].fields);
		struct slice got = forward(head, "::1", false);
		const struct http_field *left = http_head_find(head, HTTP_FIELD_MAX_FORWARDS);

		if (hops[i].want && (left || !slice_starts_with(got, slice_of(hops[i].want))))
			fail_msg("%s %s", hops[i].method, hops[i].fields);
		if (!hops[i].want && slice_find_slice(got, SLICE("max-forwards")) != SLICE_NONE)
			fail_msg("%s %s", hops[i].method, hops[i].fields);
	}
}

static const struct {
	const char *fields;
	bool loop;
} vias[] = {
	{ "", false },
	{ "via: 1.1 other\r\n", false },
	{ "via: 1.1 gw-1\r\n", true },
	{ "via: 1.0 fred, 1.1 gw-1 (comment)\r\n", true },
	{ "via: 1.0 fred\r\nvia: 1.1 gw-1\r\n", true },
	{ "x-via: 1.1 gw-1\r\n", false },
};

static void loops_are_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vias); i++)
		if (forward_is_loop(proxy, parse("GET", "h", vias[i].fields)) != vias[i].loop)
			fail_msg("%s", vias[i].fields);
}

static void via_tells_the_version_of_the_client(void **state)
{
	struct http_head *head = parse("GET", "h", "via: 1.1 fred\r\n" ID);
	struct slice got;

	(void)state;
	head->minor = 0;
	got = forward(head, "::1", false);
	assert_true(slice_find_slice(got, SLICE("via: 1.0 gw-1\r\n")) != SLICE_NONE);
	assert_non_null(http_head_find(head, HTTP_FIELD_VIA)); /* The others' stay. */
}

static int make_proxy(void **state)
{
	(void)state;
	proxy = calloc(1, sizeof(*proxy));
	assert_non_null(proxy);
	proxy->options = &options;
	rng_seed(&proxy->rng, 1);
	return metric_create(0, &proxy->metrics);
}

static int free_proxy(void **state)
{
	(void)state;
	metric_destroy(proxy->metrics);
	free(proxy);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_are_told_of),
		cmocka_unit_test(dropped_words_are_counted),
		cmocka_unit_test(certificates_are_told_of),
		cmocka_unit_test(ids_are_kept_or_made),
		cmocka_unit_test(made_ids_differ),
		cmocka_unit_test(hops_are_counted),
		cmocka_unit_test(loops_are_seen),
		cmocka_unit_test(via_tells_the_version_of_the_client),
	};

	return cmocka_run_group_tests(tests, make_proxy, free_proxy);
}
