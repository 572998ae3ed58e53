/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of one listener that ask their clients for different things. */
#include "tests/unit/core/crypto/certs.c"
#include "tests/unit/core/crypto/wire.c"

enum { HOUR = 3600 };

static const struct ct_cert site = { "site", "DNS:site.test,DNS:*.site.test,IP:192.0.2.1", -60,
				     HOUR, NULL };
static const struct ct_cert other = { "other", "DNS:other.test,DNS:b.site.test,IP:192.0.2.7", -60,
				      HOUR, NULL };
static const struct ct_cert root = { "root", NULL, -60, HOUR, NULL };
static const struct ct_cert root2 = { "root2", NULL, -60, HOUR, NULL };
static const struct ct_cert member = { "member", NULL, -60, HOUR, &root };
static const struct ct_cert member2 = { "member2", NULL, -60, HOUR, &root2 };

static const struct slice admin_names[] = { SLICE_INIT("Admin.site.test") };
static const struct slice plain_names[] = { SLICE_INIT("plain.site.test") };
static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

static int setup(void **state)
{
	static const struct ct_cert *const all[] = {
		&site, &other, &root, &root2, &member, &member2
	};

	(void)state;
	ct_begin();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		ct_write(all[i]);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ct_end();
	return 0;
}

static struct tls_entry named(const struct ct_cert *cert, const struct slice *names)
{
	struct tls_entry entry = entry_of(cert);

	entry.names = names;
	entry.n_names = 1;
	return entry;
}

/* What becomes of a handshake with this name, and a certificate or none. */
static bool is_let_in(struct wire *w, const char *name, const struct ct_cert *shown)
{
	bool done;

	dial(w, name);
	if (shown)
		show(w, shown);
	done = shake(w) == 0;
	if (!done)
		assert_int_equal(tls_failure(&w->tls), TLS_FAILURE_CERTIFICATE);
	/* Who is asked is told of authorities. */
	assert_int_equal(sk_X509_NAME_num(SSL_get0_peer_CA_list(w->client)) > 0,
			 tls_credentials_ask(w->credentials, slice_of(name)));
	hang_up(w);
	return done;
}

struct visit {
	const char *name;
	const struct ct_cert *shown;
	bool let_in;
};

static void check_visits(const struct tls_entry *entries, const struct visit *visits, size_t n)
{
	struct tls_credentials_options opt = options(entries, 3);
	struct wire w;

	serve(&w, &opt);
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[v]);
		for (size_t i = 0; i < n; i++)
			if (is_let_in(&w, visits[i].name, visits[i].shown) != visits[i].let_in)
				fail_msg("%s, visit %zu", visits[i].name, i);
	}
	close_wire(&w);
}

static void each_entry_asks_for_itself(void **state)
{
	static const struct visit visits[] = {
		{ NULL, NULL, true },
		{ "x.site.test", NULL, true },
		{ "admin.site.test", NULL, false },
		{ "ADMIN.site.test", NULL, false },
		{ "admin.site.test", &member, true },
		{ "admin.site.test", &member2, false },
		{ "plain.site.test", NULL, true },
		{ "plain.site.test", &member2, true },
		{ "plain.site.test", &member, false },
	};
	struct tls_entry entries[] = { entry_of(&site), named(&site, admin_names),
				       named(&site, plain_names) };

	(void)state;
	ask(&entries[1], &root, TLS_CLIENT_REQUIRED);
	ask(&entries[2], &root2, TLS_CLIENT_OPTIONAL);
	check_visits(entries, visits, ARRAY_SIZE(visits));
}

/* The connection begins as one of the first entry: what it asks for must not stay. */
static void a_first_entry_asks_for_itself_only(void **state)
{
	static const struct visit visits[] = {
		{ NULL, NULL, false },
		{ NULL, &member, true },
		{ "nobody.test", NULL, false },
		{ "x.site.test", NULL, false },
		{ "x.site.test", &member, true },
		{ "x.site.test", &member2, false },
		{ "plain.site.test", NULL, true },
		{ "plain.site.test", &member2, true },
		{ "admin.site.test", NULL, true },
		{ "admin.site.test", &member2, true },
		{ "admin.site.test", &member, false },
	};
	struct tls_entry entries[] = { entry_of(&site), named(&site, admin_names),
				       named(&site, plain_names) };

	(void)state;
	ask(&entries[0], &root, TLS_CLIENT_REQUIRED);
	ask(&entries[1], &root2, TLS_CLIENT_OPTIONAL);
	check_visits(entries, visits, ARRAY_SIZE(visits));
}

static void who_is_refused_by_name_is_not_asked(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;

	(void)state;
	ask(&entry, &root, TLS_CLIENT_OPTIONAL);
	for (int strict = 0; strict < 2; strict++) {
		opt.strict_names = strict;
		serve(&w, &opt);
		assert_true(tls_credentials_ask(w.credentials, SLICE("a.site.test")));
		assert_true(tls_credentials_ask(w.credentials, SLICE("")));
		assert_int_equal(tls_credentials_ask(w.credentials, SLICE("nobody.test")), !strict);
		dial(&w, NULL); /* What is closed has been open. */
		close_wire(&w);
	}
}

/* Whether the second of two hellos, on one connection, decides who is asked. */
static bool is_let_in_after_retry(struct wire *w, const char *first, const char *second)
{
	int r;

	dial(w, first);
	assert_true(SSL_set1_groups_list(w->client, "P-256:P-384"));
	assert_true(SSL_set1_groups_list(w->tls.ssl, "P-384"));
	assert_int_equal(SSL_do_handshake(w->client), -1);
	assert_true(carry_in(w));
	assert_int_equal(tls_handshake(&w->tls), -EAGAIN); /* It wants another hello. */
	SSL_ctrl(w->client, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
		 (void *)(uintptr_t)second);
	carry_out(w);
	r = shake(w);
	if (r == 0)
		assert_true(slice_eq(tls_server_name(&w->tls), slice_of(second)));
	hang_up(w);
	return r == 0;
}

static void a_second_hello_decides(void **state)
{
	struct tls_entry entries[] = { entry_of(&site), named(&site, admin_names) };
	struct tls_credentials_options opt = options(entries, 2);
	struct wire w;

	(void)state;
	ask(&entries[1], &root, TLS_CLIENT_REQUIRED);
	serve(&w, &opt);
	assert_true(is_let_in_after_retry(&w, "x.site.test", "x.site.test"));
	assert_true(is_let_in_after_retry(&w, "admin.site.test", "x.site.test"));
	assert_false(is_let_in_after_retry(&w, "x.site.test", "admin.site.test"));
	close_wire(&w);
}

/* T05. */
static void sessions_stay_with_their_entry(void **state)
{
	struct tls_entry entries[] = { entry_of(&site), named(&site, plain_names) };
	struct tls_credentials_options opt = options(entries, 2);
	struct wire w;

	(void)state;
	serve(&w, &opt);
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[v]);
		assert_true(resumes(&w, w.server, "site.test", "site.test"));
		assert_true(resumes(&w, w.server, "plain.site.test", "plain.site.test"));
		assert_false(resumes(&w, w.server, "site.test", "plain.site.test"));
		assert_false(resumes(&w, w.server, "plain.site.test", "site.test"));
	}
	close_wire(&w);
}

static bool gets_a_session(struct wire *w, const char *name)
{
	char got[8];
	bool resumable;

	dial(w, name);
	show(w, &member);
	assert_int_equal(shake(w), 0);
	assert_int_equal(SSL_read(w->client, got, sizeof(got)), -1);
	resumable = SSL_SESSION_is_resumable(SSL_get0_session(w->client));
	hang_up(w);
	return resumable;
}

static void who_is_asked_gets_no_session(void **state)
{
	(void)state;
	for (uint32_t asking = 0; asking < 2; asking++) {
		struct tls_entry entries[] = { entry_of(&site), named(&site, plain_names) };
		struct tls_credentials_options opt = options(entries, 2);
		struct wire w;

		ask(&entries[asking], &root, TLS_CLIENT_OPTIONAL);
		serve(&w, &opt);
		for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
			const char *open = asking ? "site.test" : "plain.site.test";

			SSL_CTX_set_max_proto_version(w.client_ctx, versions[v]);
			assert_int_equal(gets_a_session(&w, "site.test"), asking != 0);
			assert_int_equal(gets_a_session(&w, "plain.site.test"), asking != 1);
			assert_true(resumes(&w, w.server, open, open));
		}
		close_wire(&w);
	}
}

/* A session of an open entry, shown where clients are asked: it must not stand for a certificate. */
static void a_session_is_no_certificate(void **state)
{
	struct tls_entry entries[] = { entry_of(&site), named(&site, admin_names) };
	struct tls_credentials_options opt = options(entries, 2);
	struct wire w;

	(void)state;
	ask(&entries[1], &root, TLS_CLIENT_OPTIONAL);
	serve(&w, &opt);
	for (size_t v = 0; v < ARRAY_SIZE(versions); v++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[v]);
		assert_false(resumes(&w, w.server, "site.test", "admin.site.test"));
	}
	close_wire(&w);
}

struct meant {
	const char *asked, *host;
	bool served;
};

static void check_hosts(struct tls_credentials_options opt, const struct meant *rows, size_t n)
{
	struct wire w;

	serve(&w, &opt);
	for (size_t i = 0; i < n; i++) {
		dial(&w, rows[i].asked);
		show(&w, &member);
		assert_int_equal(shake(&w), 0);
		if (tls_serves(&w.tls, slice_of(rows[i].host)) != rows[i].served)
			fail_msg("row %zu: %s for %s", i, rows[i].host, rows[i].asked);
		hang_up(&w);
	}
	close_wire(&w);
}

/* H11: 'site' is for anybody, its admin host and 'other' are not. */
static void hosts_of_an_asking_entry_are_its_own(void **state)
{
	static const struct meant rows[] = {
		/* On a connection that nobody was asked on. */
		{ NULL, "site.test", true },
		{ NULL, "x.site.test", true },
		{ NULL, "nobody.test", true },
		{ NULL, "192.0.2.1", true },
		{ NULL, "192.0.2.9", true },
		{ NULL, "", true },
		{ NULL, "admin.site.test", false }, /* Its certificate would do. */
		{ NULL, "b.site.test", false },     /* This one also, by the pattern. */
		{ NULL, "other.test", false },
		{ "x.site.test", "admin.site.test", false },
		{ "nobody.test", "other.test", false },
		/* On one that they were asked on. */
		{ "admin.site.test", "admin.site.test", true },
		{ "admin.site.test", "site.test", false },
		{ "admin.site.test", "x.site.test", false },
		{ "admin.site.test", "nobody.test", false },
		{ "admin.site.test", "192.0.2.1", false },
		{ "admin.site.test", "", false },
		{ "other.test", "other.test", true },
		{ "other.test", "b.site.test", true },
		{ "other.test", "192.0.2.7", false }, /* Whoever means it comes without a name. */
		{ "other.test", "admin.site.test", false },
	};
	struct tls_entry entries[] = { entry_of(&site), named(&site, admin_names),
				       entry_of(&other) };

	(void)state;
	ask(&entries[1], &root, TLS_CLIENT_REQUIRED);
	ask(&entries[2], &root, TLS_CLIENT_REQUIRED);
	check_hosts(options(entries, 3), rows, ARRAY_SIZE(rows));
}

/* What no entry is for belongs to the first, which asks. */
static void unknown_hosts_are_the_first_entrys(void **state)
{
	static const struct meant rows[] = {
		{ NULL, "site.test", true },
		{ NULL, "192.0.2.1", true },
		{ NULL, "", true },
		{ NULL, "nobody.test", false },
		{ NULL, "plain.site.test", false },
		{ "plain.site.test", "plain.site.test", true },
		{ "plain.site.test", "", false },
		{ "plain.site.test", "nobody.test", false },
		{ "plain.site.test", "192.0.2.1", false },
		{ "plain.site.test", "192.0.2.9", false },
		{ "plain.site.test", "site.test", false },
		{ "other.test", "192.0.2.7", false },
		{ "other.test", "plain.site.test", true },
	};
	struct tls_entry entries[] = { entry_of(&site), named(&site, plain_names),
				       entry_of(&other) };

	(void)state;
	ask(&entries[0], &root, TLS_CLIENT_REQUIRED);
	check_hosts(options(entries, 3), rows, ARRAY_SIZE(rows));
}

/* An address is no name that was given. */
static void names_leave_addresses_out(void **state)
{
	static const struct meant rows[] = { { NULL, "admin.site.test", true },
					     { NULL, "192.0.2.1", false } };
	struct tls_entry entry = named(&site, admin_names);

	(void)state;
	ask(&entry, &root, TLS_CLIENT_REQUIRED);
	check_hosts(options(&entry, 1), rows, ARRAY_SIZE(rows));
}

/* Entries are asked alike when the same file vouches for their clients, in the same way. */
static void those_who_ask_alike_share_what_has_no_name(void **state)
{
	static const struct meant alike[] = { { "other.test", "192.0.2.7", true },
					      { "other.test", "", true },
					      { "other.test", "site.test", false } };
	static const struct meant unlike[] = { { "other.test", "192.0.2.7", false },
					       { "other.test", "", false } };
	struct tls_entry entries[] = { entry_of(&site), entry_of(&other) };

	(void)state;
	ask(&entries[0], &root, TLS_CLIENT_REQUIRED);
	ask(&entries[1], &root, TLS_CLIENT_REQUIRED);
	check_hosts(options(entries, 2), alike, ARRAY_SIZE(alike));
	ask(&entries[0], &root, TLS_CLIENT_OPTIONAL);
	check_hosts(options(entries, 2), unlike, ARRAY_SIZE(unlike));
	ask(&entries[0], &root2, TLS_CLIENT_OPTIONAL);
	ask(&entries[1], &root, TLS_CLIENT_OPTIONAL);
	check_hosts(options(entries, 2), unlike, ARRAY_SIZE(unlike));
}

/* --- Names. ------------------------------------------------------------------------------------ */

static void refused(const struct tls_entry *entries, uint32_t n, struct tls_refusal want,
		    const char *why)
{
	struct tls_credentials_options opt = options(entries, n);
	struct tls_credentials *credentials = NULL;
	struct tls_refusal got;

	assert_int_equal(tls_credentials_read(&opt, &got, &credentials), -EINVAL);
	assert_null(credentials);
	assert_int_equal(got.what, want.what);
	assert_int_equal(got.entry, want.entry);
	if (want.what == TLS_REFUSED_NAME)
		assert_int_equal(got.name, want.name);
	if (!strstr(got.why, why))
		fail_msg("'%s' does not say '%s'", got.why, why);
}

static void names_are_those_of_the_certificate(void **state)
{
	static const struct slice good[] = { SLICE_INIT("a.site.test"), SLICE_INIT("*.site.test"),
					     SLICE_INIT("SITE.test"), SLICE_INIT("a.site.test") };
	static const struct slice bad[] = { SLICE_INIT("other.test"), SLICE_INIT("a.b.site.test"),
					    SLICE_INIT("*.a.site.test"), SLICE_INIT("*.test"),
					    SLICE_INIT("192.0.2.1") };
	static const struct slice few[] = { SLICE_INIT("*.site.test"), SLICE_INIT("b.other.test") };
	struct tls_entry entry = named(&site, good);
	struct tls_credentials_options opt = options(&entry, 1);
	struct slice name;
	struct wire w;

	(void)state;
	entry.n_names = ARRAY_SIZE(good);
	serve(&w, &opt);
	(void)tls_credentials_expiry(w.credentials, 0, &name);
	assert_true(slice_eq(name, SLICE("a.site.test")));
	close_wire(&w);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		entry = named(&site, &bad[i]);
		refused(&entry, 1, (struct tls_refusal){ .what = TLS_REFUSED_NAME },
			"is not a name of the certificate");
	}
	entry = named(&site, few);
	entry.n_names = 2;
	refused(&entry, 1, (struct tls_refusal){ .what = TLS_REFUSED_NAME, .name = 1 },
		"b.other.test is not a name of the certificate");
}

/* An entry that never comes to ask, because another has its name, is a hole. */
static void names_that_decide_belong_to_one(void **state)
{
	static const struct slice stars[] = { SLICE_INIT("*.site.test") };
	struct tls_entry same[] = { entry_of(&site), entry_of(&site) };
	struct tls_entry chosen[] = { named(&site, stars), named(&site, stars) };
	struct tls_credentials_options opt = options(same, 2);
	struct wire w;

	(void)state;
	serve(&w, &opt); /* The second is never shown; and nothing depends on it. */
	close_wire(&w);
	ask(&same[1], &root, TLS_CLIENT_REQUIRED);
	refused(same, 2, (struct tls_refusal){ .what = TLS_REFUSED_PAIR, .entry = 1 },
		"*.site.test is also a name of certificates[0], which asks clients otherwise");
	ask(&same[0], &root, TLS_CLIENT_OPTIONAL);
	refused(same, 2, (struct tls_refusal){ .what = TLS_REFUSED_PAIR, .entry = 1 },
		"which asks clients otherwise");
	ask(&same[0], &root, TLS_CLIENT_REQUIRED);
	serve(&w, &opt);
	close_wire(&w);
	refused(chosen, 2, (struct tls_refusal){ .what = TLS_REFUSED_NAME, .entry = 1 },
		"*.site.test is also a name of certificates[0]");
}

/* Although the first has it too, and comes first. */
static void a_given_name_goes_before_a_certificates(void **state)
{
	static const struct slice names[] = { SLICE_INIT("site.test") };
	struct tls_entry entries[] = { entry_of(&site), named(&site, names), entry_of(&other) };
	static const struct visit visits[] = { { "site.test", NULL, false },
					       { "site.test", &member, true },
					       { "x.site.test", NULL, true } };

	(void)state;
	ask(&entries[1], &root, TLS_CLIENT_REQUIRED);
	check_visits(entries, visits, ARRAY_SIZE(visits));
}

static void authorities_that_are_none_are_refused(void **state)
{
	struct tls_entry entries[] = { entry_of(&site), entry_of(&other) };

	(void)state;
	ask(&entries[0], &root, TLS_CLIENT_REQUIRED);
	entries[1].client_auth = TLS_CLIENT_OPTIONAL;
	entries[1].client_ca = ct_path("nothing.pem");
	refused(entries, 2, (struct tls_refusal){ .what = TLS_REFUSED_CLIENT_CA, .entry = 1 },
		"nothing.pem: holds no certificates of authorities");
	entries[1].client_ca = ct_path("site.key");
	refused(entries, 2, (struct tls_refusal){ .what = TLS_REFUSED_CLIENT_CA, .entry = 1 },
		"site.key: holds no certificates of authorities");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_entry_asks_for_itself),
		cmocka_unit_test(a_first_entry_asks_for_itself_only),
		cmocka_unit_test(who_is_refused_by_name_is_not_asked),
		cmocka_unit_test(a_second_hello_decides),
		cmocka_unit_test(sessions_stay_with_their_entry),
		cmocka_unit_test(who_is_asked_gets_no_session),
		cmocka_unit_test(a_session_is_no_certificate),
		cmocka_unit_test(hosts_of_an_asking_entry_are_its_own),
		cmocka_unit_test(unknown_hosts_are_the_first_entrys),
		cmocka_unit_test(names_leave_addresses_out),
		cmocka_unit_test(those_who_ask_alike_share_what_has_no_name),
		cmocka_unit_test(names_are_those_of_the_certificate),
		cmocka_unit_test(names_that_decide_belong_to_one),
		cmocka_unit_test(a_given_name_goes_before_a_certificates),
		cmocka_unit_test(authorities_that_are_none_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
