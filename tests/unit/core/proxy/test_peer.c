/* SPDX-License-Identifier: Apache-2.0 */
/* Who a peer is, which networks it is in, and how many connections it has. */
#include "core/proxy/peer.c"

#include "tests/unit/core/base/base_test.h"

#include <arpa/inet.h>
#include <pthread.h>

static struct peer peer_at(const char *text)
{
	struct peer peer = { .family = strchr(text, ':') ? AF_INET6 : AF_INET };

	assert_int_equal(inet_pton(peer.family, text, peer.ip), 1);
	return peer;
}

static const struct {
	const char *addr, *text;
	uint8_t family;
} names[] = {
	{ "192.0.2.1:4321", "192.0.2.1", AF_INET },
	{ "255.255.255.255:1", "255.255.255.255", AF_INET },
	{ "[2001:db8::1]:80", "2001:db8::1", AF_INET6 },
	{ "[::1]:80", "::1", AF_INET6 },
	{ "[::ffff:192.0.2.9]:80", "192.0.2.9", AF_INET }, /* Mapped: an IPv4 client after all. */
	{ "[::fffe:192.0.2.9]:80", "::fffe:c000:209", AF_INET6 },
	{ "[1111:2222:3333:4444:5555:6666:7777:8888]:9", "1111:2222:3333:4444:5555:6666:7777:8888",
	  AF_INET6 },
	{ "unix:/run/x.sock", "unix", AF_UNIX },
};

static void peers_are_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct ring_addr addr;
		struct peer peer;
		char text[PEER_TEXT];

		assert_int_equal(ring_addr_parse(slice_of(names[i].addr), &addr), 0);
		peer = peer_of(&addr);
		assert_int_equal(peer.family, names[i].family);
		assert_int_equal(peer.port, addr.port);
		assert_slice(slice_make(text, peer_format(&peer, text)), names[i].text);
	}
}

static const struct {
	const char *net;
	uint8_t prefix;
	const char *in, *out; /* NULL: no such address. */
} nets[] = {
	{ "10.0.0.0", 8, "10.255.1.2", "11.0.0.0" },
	{ "10.0.0.0", 8, "10.0.0.0", "::a00:1" },
	{ "192.0.2.64", 26, "192.0.2.127", "192.0.2.128" },
	{ "192.0.2.64", 26, "192.0.2.64", "192.0.2.63" },
	{ "192.0.2.5", 32, "192.0.2.5", "192.0.2.4" },
	{ "192.0.2.4", 31, "192.0.2.5", "192.0.2.6" },
	{ "0.0.0.0", 0, "203.0.113.9", "2001:db8::1" },
	{ "128.0.0.0", 1, "128.0.0.1", "127.255.255.255" },
	{ "2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::" },
	{ "2001:db8:8000::", 33, "2001:db8:ffff::", "2001:db8:7fff::" },
	{ "::1", 128, "::1", "::2" },
	{ "::", 0, "ffff::", "1.2.3.4" },
};

static void nets_hold_their_own(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(nets); i++) {
		struct peer base = peer_at(nets[i].net);
		struct peer in = peer_at(nets[i].in), out = peer_at(nets[i].out);
		struct peer_net list[2] = { { .family = AF_INET, .prefix = 32, .ip = { 9 } } };

		list[1].family = base.family;
		list[1].prefix = nets[i].prefix;
		memcpy(list[1].ip, base.ip, sizeof(base.ip));
		if (!peer_in(&in, list, 2) || peer_in(&in, list, 1))
			fail_msg("%s is in %s/%u", nets[i].in, nets[i].net, nets[i].prefix);
		if (peer_in(&out, list, 2))
			fail_msg("%s is not in %s/%u", nets[i].out, nets[i].net, nets[i].prefix);
	}
}

static void nobody_is_in_no_net(void **state)
{
	const struct peer_net all = { .family = AF_INET, .prefix = 0 };
	const struct peer local = { .family = AF_UNIX };
	const struct peer any = peer_at("192.0.2.1");

	(void)state;
	assert_false(peer_in(&any, NULL, 0));
	assert_false(peer_in(&local, &all, 1));
}

/* --- Counts. --------------------------------------------------------------------------------- */

static struct peer_counts counts;

static int empty_counts(void **state)
{
	(void)state;
	memset(&counts, 0, sizeof(counts));
	memset(&counts.key, 0x5a, sizeof(counts.key));
	return 0;
}

static uint64_t sum_of_counts(void)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < PEER_COUNTS; i++)
		sum += counts.n[0][i] + counts.n[1][i];
	return sum;
}

static void a_limit_is_kept(void **state)
{
	struct peer a = peer_at("192.0.2.1"), b = peer_at("192.0.2.2");

	(void)state;
	for (int i = 0; i < 5; i++)
		assert_true(peer_counts_add(&counts, &a, 5));
	for (int i = 0; i < 3; i++) /* Refused, and not counted either. */
		assert_false(peer_counts_add(&counts, &a, 5));
	assert_int_equal(sum_of_counts(), 10);
	assert_true(peer_counts_add(&counts, &b, 1));
	peer_counts_del(&counts, &a);
	assert_true(peer_counts_add(&counts, &a, 5));
	assert_false(peer_counts_add(&counts, &a, 5));
	for (int i = 0; i < 5; i++)
		peer_counts_del(&counts, &a);
	peer_counts_del(&counts, &b);
	assert_int_equal(sum_of_counts(), 0);
}

static const struct {
	const char *a, *b;
	bool same;
} shared[] = {
	{ "2001:db8:0:1::1", "2001:db8:0:1:ffff::9", true }, /* One /64 is one client. */
	{ "2001:db8:0:1::1", "2001:db8:0:2::1", false },
	{ "192.0.2.1", "192.0.2.3", false },
	{ "192.0.2.1", "c000:201::", false }, /* The same bytes, another family. */
};

static void addresses_count_apart(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shared); i++) {
		struct peer a = peer_at(shared[i].a), b = peer_at(shared[i].b);

		assert_true(peer_counts_add(&counts, &a, 1));
		if (peer_counts_add(&counts, &b, 1) == shared[i].same)
			fail_msg("%s and %s", shared[i].a, shared[i].b);
		if (!shared[i].same)
			peer_counts_del(&counts, &b);
		peer_counts_del(&counts, &a);
		assert_int_equal(sum_of_counts(), 0);
	}
}

/* Strangers must not fill up somebody's count, as one hashed cell would let them. */
static void strangers_are_hardly_ever_mixed_up(void **state)
{
	struct peer stranger = { .family = AF_INET };
	uint32_t n_refused = 0;

	(void)state;
	for (uint32_t i = 0; i < 20000; i++) {
		memcpy(stranger.ip, &i, sizeof(i));
		n_refused += !peer_counts_add(&counts, &stranger, 1);
	}
	/* A quarter of each row is taken at the end: one in 14 by then, 2.5 % of all; not 14 %. */
	assert_true(n_refused < 20000 * 4 / 100);
}

static void take_from_nobody(void)
{
	struct peer a = { .family = AF_INET };

	peer_counts_del(&counts, &a);
}

static void a_count_is_not_taken_twice(void **state)
{
	(void)state;
	assert_traps(take_from_nobody);
}

enum { THREADS = 4, ROUNDS = 100000, LIMIT = 3 };

static _Atomic uint32_t n_held, n_held_max;

/* Never more than the limit at once, whoever asks. */
static void *come_and_go(void *arg)
{
	const struct peer *peer = arg;

	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t held;

		if (!peer_counts_add(&counts, peer, LIMIT))
			continue;
		held = atomic_fetch_add(&n_held, 1) + 1;
		if (held > atomic_load(&n_held_max))
			atomic_store(&n_held_max, held);
		atomic_fetch_sub(&n_held, 1);
		peer_counts_del(&counts, peer);
	}
	return NULL;
}

static void workers_share_the_counts(void **state)
{
	struct peer peer = peer_at("198.51.100.7");
	pthread_t threads[THREADS];

	(void)state;
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &peer), 0);
	for (uint32_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_in_range(atomic_load(&n_held_max), 1, LIMIT);
	assert_int_equal(sum_of_counts(), 0);
}

static void texts_become_peers(void **state)
{
	static const char *const good[][2] = {
		{ "192.0.2.1", "192.0.2.1" },           { "192.0.2.1:80", "192.0.2.1" },
		{ "2001:db8::1", "2001:db8::1" },       { "[2001:db8::1]", "2001:db8::1" },
		{ "[2001:db8::1]:443", "2001:db8::1" }, { "::ffff:192.0.2.1", "192.0.2.1" },
	};
	static const char *const bad[] = {
		"",
		"unknown",
		"192.0.2",
		"192.0.2.1.",
		"[::1",
		"_x",
		"1.2.3.4, 5.6.7.8",
		"2001:db8:0000:0000:0000:0000:0000:0001:0000:0000:0000"
	};
	char text[PEER_TEXT];
	struct peer peer;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(peer_parse(slice_of(good[i][0]), &peer), 0);
		assert_true(
			slice_eq(slice_make(text, peer_format(&peer, text)), slice_of(good[i][1])));
		assert_int_equal(peer.port, 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(peer_parse(slice_of(bad[i]), &peer), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(peers_are_named),
		cmocka_unit_test(texts_become_peers),
		cmocka_unit_test(nets_hold_their_own),
		cmocka_unit_test(nobody_is_in_no_net),
		cmocka_unit_test_setup(a_limit_is_kept, empty_counts),
		cmocka_unit_test_setup(addresses_count_apart, empty_counts),
		cmocka_unit_test_setup(strangers_are_hardly_ever_mixed_up, empty_counts),
		cmocka_unit_test_setup(a_count_is_not_taken_twice, empty_counts),
		cmocka_unit_test_setup(workers_share_the_counts, empty_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
