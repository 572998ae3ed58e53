/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver against a name server of a few lines on loopback, good and bad. */
#define RT_STEP_NS RT_MS
#include "tests/unit/ring/ring_test.h"

#include <arpa/inet.h>

#include "ring/ring_resolve.c"

/* --- The name server ---------------------------------------------------------------------- */

enum dns_mood {
	DNS_ADDRESSES, /* n_addrs answers. */
	DNS_NXDOMAIN,
	DNS_SILENT,
	DNS_TRUNCATED, /* Over UDP an empty, truncated answer; over TCP a good one. */
	DNS_GARBAGE,   /* Random bytes behind the right id. */
	DNS_ENDLESS,   /* A name that points to itself. */
	DNS_SERVFAIL,
};

struct dns_server {
	enum dns_mood mood;
	uint32_t n_addrs, n_queries, n_tcp;
	int udp, listener, tcp;
	uint64_t seed;
	char servers[32];
};

static void put16(uint8_t **at, uint32_t v)
{
	*(*at)++ = (uint8_t)(v >> 8);
	*(*at)++ = (uint8_t)v;
}

static void put_record(uint8_t **at, uint32_t type, uint32_t i)
{
	put16(at, 0xc00c); /* The name of the question. */
	put16(at, type);
	put16(at, 1);
	put16(at, 0);
	put16(at, 60 + i);
	put16(at, type == 28 ? 16 : 4);
	for (uint32_t k = 0; type == 28 && k < 12; k++)
		*(*at)++ = k == 0 ? 0xfd : 0;
	*(*at)++ = 10;
	*(*at)++ = 0;
	put16(at, i + 1);
}

/* The length of the question behind the header, by its labels. */
static size_t question_len(const uint8_t *query, size_t len)
{
	size_t at = 12;

	while (at < len && query[at] != 0)
		at += query[at] + 1u;
	return at + 5 - 12;
}

static size_t dns_answer(struct dns_server *d, const uint8_t *query, size_t len, bool tcp,
			 uint8_t *out)
{
	size_t q_len = question_len(query, len);
	uint32_t type = query[12 + q_len - 3];
	uint32_t n = type == 1 ? d->n_addrs : d->n_addrs ? 1 : 0, flags = 0x8180;
	uint8_t *at = out + 2;

	d->n_queries++;
	memcpy(out, query, 2);
	if (d->mood == DNS_GARBAGE) {
		for (int i = 0; i < 200; i++)
			*at++ = (uint8_t)rng_splitmix(&d->seed);
		out[2] |= 0x80;
		return 2 + rng_splitmix(&d->seed) % 200;
	}
	if (d->mood == DNS_NXDOMAIN || d->mood == DNS_SERVFAIL) {
		flags |= d->mood == DNS_NXDOMAIN ? 3 : 2;
		n = 0;
	}
	if (d->mood == DNS_TRUNCATED && !tcp) {
		flags |= 0x200;
		n = 0;
	}
	put16(&at, flags);
	put16(&at, 1);
	put16(&at, d->mood == DNS_ENDLESS ? 1 : n);
	put16(&at, 0);
	put16(&at, 0);
	memcpy(at, query + 12, q_len);
	at += q_len;
	if (d->mood == DNS_ENDLESS) {
		put16(&at, 0xc000 | (uint32_t)(at - out)); /* Points to itself. */
		put16(&at, type);
		put16(&at, 1);
		return (size_t)(at - out);
	}
	for (uint32_t i = 0; i < n; i++)
		put_record(&at, type, i);
	return (size_t)(at - out);
}

static void dns_serve_tcp(struct dns_server *d)
{
	uint8_t query[600], out[8192];
	ssize_t n;

	if (d->tcp < 0)
		d->tcp = accept4(d->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (d->tcp < 0)
		return;
	n = recv(d->tcp, query, sizeof(query), 0);
	if (n == 0) {
		close(d->tcp);
		d->tcp = -1;
	}
	/* Several queries may have come as one piece. */
	for (ssize_t at = 0; n > 0 && at + 2 < n;) {
		size_t q_len = (size_t)query[at] << 8 | query[at + 1];
		size_t len = dns_answer(d, query + at + 2, q_len, true, out + 2);

		d->n_tcp++;
		out[0] = (uint8_t)(len >> 8);
		out[1] = (uint8_t)len;
		rt_put(d->tcp, out, len + 2);
		at += 2 + (ssize_t)q_len;
	}
}

/* Answers what is there; always false, so that it can stand in a condition. */
static bool dns_serve(struct dns_server *d)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	uint8_t query[600], out[8192];
	ssize_t n;

	while ((n = recvfrom(d->udp, query, sizeof(query), 0, (struct sockaddr *)&from,
			     &from_len)) > 0) {
		size_t len = dns_answer(d, query, (size_t)n, false, out);

		if (d->mood != DNS_SILENT)
			sendto(d->udp, out, len, 0, (struct sockaddr *)&from, from_len);
	}
	dns_serve_tcp(d);
	return false;
}

static void dns_open(struct dns_server *d, enum dns_mood mood, uint32_t n_addrs)
{
	struct sockaddr_in at = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(at);

	*d = (struct dns_server){ .mood = mood, .n_addrs = n_addrs, .tcp = -1, .seed = 1 };
	d->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->listener, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(d->listener, 8), 0);
	assert_int_equal(getsockname(d->listener, (struct sockaddr *)&at, &len), 0);
	d->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(d->udp, (struct sockaddr *)&at, len), 0);
	snprintf(d->servers, sizeof(d->servers), "127.0.0.1:%u", ntohs(at.sin_port));
}

static void dns_close(struct dns_server *d)
{
	close(d->udp);
	close(d->listener);
	if (d->tcp >= 0)
		close(d->tcp);
}

/* --- Asking ------------------------------------------------------------------------------- */

struct asked {
	uint32_t n_answers, n_addrs, ttl_s;
	int status;
	struct ring_addr addrs[RING_RESOLVE_ADDRS];
};

static void asked_answered(void *owner, int status, const struct ring_addr *addrs, uint32_t n_addrs,
			   uint32_t ttl_s)
{
	struct asked *a = owner;

	assert_true(n_addrs <= RING_RESOLVE_ADDRS && (status == 0) == (n_addrs > 0));
	a->n_answers++;
	a->status = status;
	a->n_addrs = n_addrs;
	a->ttl_s = ttl_s;
	memcpy(a->addrs, addrs, n_addrs * sizeof(*addrs));
}

static struct ring_resolver *open_resolver(struct ring *ring, const char *servers)
{
	struct ring_resolver_options opt = { .servers = servers, .timeout_ms = 50, .tries = 2 };
	struct ring_resolver *r = NULL;

	assert_int_equal(ring_resolver_open(ring, &opt, &r), 0);
	return r;
}

static void answers_of_all_kinds(void **state)
{
	static const struct {
		const char *name, *host;
		enum dns_mood mood;
		uint32_t n_addrs;
		int status;
		uint32_t n_addrs_wanted;
	} cases[] = {
		{ "one address, and one of IPv6", "one.test.", DNS_ADDRESSES, 1, 0, 2 },
		{ "more addresses than are kept", "many.test.", DNS_ADDRESSES, 200, 0,
		  RING_RESOLVE_ADDRS },
		{ "no such name", "none.test.", DNS_NXDOMAIN, 0, -ENOENT, 0 },
		{ "a name without addresses", "empty.test.", DNS_ADDRESSES, 0, -ENOENT, 0 },
		{ "nobody answers", "silent.test.", DNS_SILENT, 0, -ETIMEDOUT, 0 },
		{ "too long for a datagram", "big.test.", DNS_TRUNCATED, 20, 0, 21 },
		{ "the server failed", "broken.test.", DNS_SERVFAIL, 0, -EIO, 0 },
		{ "a number is a name, too", "192.0.2.7", DNS_SILENT, 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ring *ring = rt_ring();
		struct asked a = { 0 };
		struct ring_resolver *r;
		struct dns_server d;

		dns_open(&d, cases[i].mood, cases[i].n_addrs);
		r = open_resolver(ring, d.servers);
		assert_int_equal(ring_resolve(r, slice_of(cases[i].host), 8080, asked_answered, &a),
				 0);
		assert_int_equal(a.n_answers, 0);
		RT_UNTIL(ring, dns_serve(&d) || a.n_answers == 1);
		if (a.status != cases[i].status || a.n_addrs != cases[i].n_addrs_wanted)
			fail_msg("%s: status %d, %u addresses", cases[i].name, a.status, a.n_addrs);
		for (uint32_t k = 0; k < a.n_addrs; k++)
			assert_int_equal(a.addrs[k].port, 8080);
		if (cases[i].mood == DNS_ADDRESSES && a.status == 0)
			assert_int_equal(a.ttl_s, 60);
		if (cases[i].mood == DNS_TRUNCATED)
			assert_true(d.n_tcp > 0);
		ring_resolver_free(r);
		dns_close(&d);
		rt_end(ring);
	}
}

/* Whatever comes, an answer follows and nothing is read or written out of bounds. */
static void hostile_answers_do_no_harm(void **state)
{
	static const enum dns_mood moods[] = { DNS_GARBAGE, DNS_ENDLESS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moods); i++) {
		struct ring *ring = rt_ring();
		struct ring_resolver *r;
		struct dns_server d;
		struct asked a = { 0 };

		dns_open(&d, moods[i], 1);
		r = open_resolver(ring, d.servers);
		for (uint32_t n = 0; n < RING_RESOLVE_MAX; n++)
			assert_int_equal(ring_resolve(r, SLICE("bad.test."), 1, asked_answered, &a),
					 0);
		RT_UNTIL(ring, dns_serve(&d) || a.n_answers == RING_RESOLVE_MAX);
		assert_true(d.n_queries >= RING_RESOLVE_MAX);
		assert_true(a.status < 0);
		ring_resolver_free(r);
		dns_close(&d);
		rt_end(ring);
	}
}

static void the_hosts_file_is_read(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_resolver *r = open_resolver(ring, "127.0.0.1:9");
	struct asked a = { 0 };
	bool loopback = true;

	(void)state;
	assert_int_equal(ring_resolve(r, SLICE("localhost"), 80, asked_answered, &a), 0);
	assert_int_equal(a.n_answers, 0); /* Never from inside. */
	RT_UNTIL(ring, a.n_answers == 1);
	assert_int_equal(a.status, 0);
	for (uint32_t i = 0; i < a.n_addrs; i++)
		loopback = loopback && (a.addrs[i].family == AF_INET6 || a.addrs[i].ip[0] == 127);
	assert_true(loopback);
	ring_resolver_free(r);
	rt_end(ring);
}

static void only_host_names_are_asked_for(void **state)
{
	static const char *const wrong[] = { "",    ".",    "a..b",  ".a",        "a b",
					     "a/b", "a:80", "[::1]", "a\xc3\xa4", "-\x01" };
	struct ring *ring = rt_ring();
	struct ring_resolver *r = open_resolver(ring, "127.0.0.1:9");
	char label[65];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_equal(ring_resolve(r, slice_of(wrong[i]), 1, asked_answered, NULL),
				 -EINVAL);
	memset(label, 'a', sizeof(label));
	assert_int_equal(ring_resolve(r, slice_make(label, 64), 1, asked_answered, NULL), -EINVAL);
	assert_int_equal(ring_resolve(r, slice_make("a\0b", 3), 1, asked_answered, NULL), -EINVAL);
	assert_true(is_host_name(slice_make(label, 63)));
	ring_resolver_free(r);
	rt_end(ring);
}

static void many_questions_and_a_free_in_the_middle(void **state)
{
	struct ring *ring = rt_ring();
	struct dns_server d;
	struct ring_resolver *r;
	struct asked all[RING_RESOLVE_MAX] = { 0 };
	char host[32];

	(void)state;
	dns_open(&d, DNS_ADDRESSES, 3);
	r = open_resolver(ring, d.servers);
	for (uint32_t i = 0; i < RING_RESOLVE_MAX; i++) {
		snprintf(host, sizeof(host), "host%u.test.", i);
		assert_int_equal(ring_resolve(r, slice_of(host), 1, asked_answered, &all[i]), 0);
	}
	assert_int_equal(ring_resolve(r, SLICE("x.test."), 1, asked_answered, NULL), -EBUSY);
	RT_UNTIL(ring, dns_serve(&d) || all[0].n_answers == 1);
	assert_int_equal(all[0].status, 0);
	ring_resolver_free(r);
	for (uint32_t i = 0; i < RING_RESOLVE_MAX; i++) {
		assert_int_equal(all[i].n_answers, 1);
		assert_true(all[i].status == 0 || all[i].status == -ECANCELED);
	}

	r = open_resolver(ring, d.servers);
	d.mood = DNS_SILENT;
	memset(all, 0, sizeof(all));
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(ring_resolve(r, SLICE("late.test."), 1, asked_answered, &all[i]),
				 0);
	ring_resolver_free(r);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(all[i].status, -ECANCELED);
	dns_close(&d);
	rt_end(ring);
}

static void wrong_servers_are_refused(void **state)
{
	struct ring *ring = rt_ring();
	struct ring_resolver_options opt = { .servers = "not an address" };
	struct ring_resolver *r = NULL;

	(void)state;
	assert_int_equal(ring_resolver_open(ring, &opt, &r), -EINVAL);
	assert_null(r);
	assert_int_equal(ring_resolver_open(ring, NULL, &r), 0);
	ring_resolver_free(r);
	rt_end(ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_of_all_kinds),
		cmocka_unit_test(hostile_answers_do_no_harm),
		cmocka_unit_test(the_hosts_file_is_read),
		cmocka_unit_test(only_host_names_are_asked_for),
		cmocka_unit_test(many_questions_and_a_free_in_the_middle),
		cmocka_unit_test(wrong_servers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
