/* SPDX-License-Identifier: Apache-2.0 */
/* Sites of one listener with rules of their own: who is asked for a certificate, and whose a host is. */
#include "tests/unit/core/crypto/tls_wire.c"

#include "core/crypto/crypto_pool.h"

enum { HOUR = 3600 };

/* The first two sites have the same one. */
static const struct ct_cert wild = { "wild", "DNS:*.w.test,DNS:w.test,IP:192.0.2.7", -60, HOUR,
				     NULL };
static const struct ct_cert other = { "other", "DNS:other.test,IP:192.0.2.7,IP:192.0.2.8", -60,
				      HOUR, NULL };
static const struct ct_cert root = { "root", NULL, -60, HOUR, NULL };
static const struct ct_cert second_root = { "root2", NULL, -60, HOUR, NULL };
static const struct ct_cert member = { "member", NULL, -60, HOUR, &root };
static const struct ct_cert friend = { "friend", NULL, -60, HOUR, &second_root };

static const struct slice admins[] = { SLICE_INIT("Admin.w.test") };
static const struct slice maybes[] = { SLICE_INIT("maybe.w.test"), SLICE_INIT("other.w.test") };

enum { OPEN, ADMIN, MAYBE, OTHER, N_SITES };

static int setup(void **state)
{
	static const struct ct_cert *const all[] = { &wild,        &other,  &root,
						     &second_root, &member, &friend };

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

/* Which is first is for whom no other is. */
static void make_sites(struct tls_site sites[N_SITES])
{
	sites[OPEN] = site_of(&wild);
	sites[ADMIN] = site_of(&wild);
	sites[ADMIN].names = admins;
	sites[ADMIN].n_names = ARRAY_SIZE(admins);
	sites[ADMIN].client_auth = TLS_CLIENT_REQUIRED;
	sites[ADMIN].client_ca = ct_path("root.pem");
	sites[MAYBE] = site_of(&wild);
	sites[MAYBE].names = maybes;
	sites[MAYBE].n_names = ARRAY_SIZE(maybes);
	sites[MAYBE].client_auth = TLS_CLIENT_OPTIONAL;
	sites[MAYBE].client_ca = ct_path("root2.pem");
	sites[OTHER] = site_of(&other);
}

static const struct {
	const char *name; /* That is asked for. */
	const struct ct_cert *shown;
	bool asked, let_in, known;
} visits[] = {
	{ "www.w.test", NULL, false, true, false },
	{ "www.w.test", &member, false, true, false },
	{ NULL, NULL, false, true, false },
	{ "nobody.test", NULL, false, true, false },
	{ "admin.w.test", NULL, true, false, false },
	{ "admin.w.test", &member, true, true, true },
	{ "ADMIN.w.test", &member, true, true, true },
	{ "admin.w.test", &friend, true, false, false },
	{ "maybe.w.test", NULL, true, true, false },
	{ "maybe.w.test", &friend, true, true, true },
	{ "other.w.test", &member, true, false, false },
	{ "other.test", NULL, false, true, false },
};

static bool was_asked;

static int asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
	(void)ssl;
	(void)cert;
	(void)key;
	was_asked = true;
	return 0; /* None. */
}

static void visit(struct wire *w, size_t i)
{
	struct tls_identity identity;
	int r;

	was_asked = false;
	SSL_CTX_set_client_cert_cb(w->client_ctx, visits[i].shown ? NULL : asked);
	dial(w, visits[i].name);
	if (visits[i].shown)
		show(w, visits[i].shown);
	r = shake(w);
	if ((r == 0) != visits[i].let_in)
		fail_msg("row %zu: %s: %d", i, visits[i].name ? visits[i].name : "-", r);
	if (r < 0)
		assert_int_equal(tls_failure(&w->tls), TLS_FAILURE_CERTIFICATE);
	else if ((tls_identity(&w->tls, &identity) == 1) != visits[i].known)
		fail_msg("row %zu: known?", i);
	if (!visits[i].shown && was_asked != visits[i].asked)
		fail_msg("row %zu: asked?", i);
	hang_up(w);
}

/* In both versions, from whichever site comes first. */
static void each_site_asks_whom_it_wants(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_site sites[N_SITES];
	struct tls_credentials_options opt = options(sites, N_SITES);
	struct wire w;

	(void)state;
	make_sites(sites);
	serve(&w, &opt);
	for (int k = 0; k < 2; k++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[k]);
		for (size_t i = 0; i < ARRAY_SIZE(visits); i++)
			visit(&w, i);
	}
	close_wire(&w);
}

/* The first site asks; others that do not are not asked because of it. */
static void a_first_site_that_asks_speaks_for_itself(void **state)
{
	struct tls_site sites[N_SITES], first;
	struct tls_credentials_options opt = options(sites, N_SITES);
	struct wire w;

	(void)state;
	make_sites(sites);
	first = sites[OPEN];
	sites[OPEN] = sites[ADMIN];
	sites[ADMIN] = first;
	serve(&w, &opt);
	dial(&w, "www.w.test");
	assert_int_equal(shake(&w), 0);
	assert_true(tls_serves(&w.tls, SLICE("www.w.test")));
	assert_false(tls_serves(&w.tls, SLICE("admin.w.test")));
	assert_false(tls_serves(&w.tls, SLICE("nobody.test"))); /* The first one's. */
	hang_up(&w);
	dial(&w, NULL);
	assert_int_equal(shake(&w), -EPROTO);
	hang_up(&w);
	dial(&w, "nobody.test");
	assert_int_equal(shake(&w), -EPROTO);
	hang_up(&w);
	/* Sessions go on where nobody is asked. */
	assert_true(resumes(&w, w.server, "www.w.test", "www.w.test"));
	close_wire(&w);
}

static const struct {
	const char *name, *host;
	bool served;
} hosts[] = {
	{ "www.w.test", "www.w.test", true },
	{ "www.w.test", "other.test", true }, /* Neither asks. */
	{ "www.w.test", "nobody.test", true },
	{ "www.w.test", "admin.w.test", false },
	{ "www.w.test", "ADMIN.W.TEST", false },
	{ "www.w.test", "admin.w.test.", false },
	{ "www.w.test", "maybe.w.test", false },
	{ NULL, "admin.w.test", false },
	{ NULL, "www.w.test", true },
	{ "other.test", "admin.w.test", false },
	{ "other.test", "192.0.2.7", true },
	{ "admin.w.test", "admin.w.test", true },
	{ "admin.w.test", "www.w.test", false },
	{ "admin.w.test", "maybe.w.test", false },
	{ "admin.w.test", "nobody.test", false },
	{ "admin.w.test", "192.0.2.7", false }, /* The first one's. */
	{ "maybe.w.test", "other.w.test", true },
	{ "maybe.w.test", "admin.w.test", false },
};

static void a_host_is_of_one_site(void **state)
{
	struct tls_site sites[N_SITES];
	struct tls_credentials_options opt = options(sites, N_SITES);
	struct wire w;

	(void)state;
	make_sites(sites);
	serve(&w, &opt);
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		bool is_admin = hosts[i].name && strcmp(hosts[i].name, "admin.w.test") == 0;

		dial(&w, hosts[i].name);
		if (is_admin)
			show(&w, &member);
		assert_int_equal(shake(&w), 0);
		if (tls_serves(&w.tls, slice_of(hosts[i].host)) != hosts[i].served)
			fail_msg("%s on a connection to %s", hosts[i].host,
				 hosts[i].name ? hosts[i].name : "-");
		hang_up(&w);
	}
	close_wire(&w);
}

/* The same certificate, and neither site asks: still no session of one is good for the other. */
static void sessions_are_of_one_site(void **state)
{
	static const struct slice names[] = { SLICE_INIT("a.w.test") };
	struct tls_site sites[2] = { site_of(&wild), site_of(&wild) };
	struct tls_credentials_options opt = options(sites, 2);
	struct wire w;

	(void)state;
	sites[1].names = names;
	sites[1].n_names = 1;
	serve(&w, &opt);
	assert_true(resumes(&w, w.server, "a.w.test", "a.w.test"));
	assert_true(resumes(&w, w.server, "b.w.test", "c.w.test"));
	assert_false(resumes(&w, w.server, "a.w.test", "b.w.test"));
	assert_false(resumes(&w, w.server, "b.w.test", "a.w.test"));
	close_wire(&w);
}

static void refuses(const struct tls_site sites[2], const char *cause)
{
	struct tls_credentials_options opt = options(sites, 2);
	struct tls_credentials *credentials = NULL;
	char why[TLS_WHY_MAX] = "";

	assert_int_equal(tls_credentials_read(&opt, why, &credentials), -EINVAL);
	if (!strstr(why, cause) || !strstr(why, ct_folder))
		fail_msg("'%s' does not name the file, or '%s'", why, cause);
}

static void names_that_cannot_be_are_refused(void **state)
{
	static const struct slice strange[] = { SLICE_INIT("a.w.test"), SLICE_INIT("x.test") };
	static const struct slice deep[] = { SLICE_INIT("a.b.w.test") };
	static const struct slice pattern[] = { SLICE_INIT("*.b.w.test") };
	static const struct slice good[] = { SLICE_INIT("*.w.test"), SLICE_INIT("w.test") };
	struct tls_site sites[2] = { site_of(&other), site_of(&wild) };

	(void)state;
	sites[1].n_names = 2;
	sites[1].names = strange;
	refuses(sites, "is not for x.test");
	sites[1].n_names = 1;
	sites[1].names = deep;
	refuses(sites, "is not for a.b.w.test");
	sites[1].names = pattern;
	refuses(sites, "is not for *.b.w.test");
	sites[1].names = good;
	sites[0] = sites[1];
	refuses(sites, "the name *.w.test is given to another certificate, too");
	sites[0] = site_of(&wild);
	sites[1] = site_of(&wild);
	refuses(sites, "is never shown");
	sites[1].names = good; /* All that the first one had. */
	sites[1].n_names = 2;
	sites[0] = sites[1];
	sites[1] = site_of(&wild);
	refuses(sites, "is never shown");
}

static void each_file_of_authorities_is_read_once(void **state)
{
	struct tls_site sites[N_SITES];
	struct tls_credentials_options opt = options(sites, N_SITES);
	struct wire w;

	(void)state;
	make_sites(sites);
	sites[MAYBE].client_ca = ct_path("root.pem");
	sites[OTHER].client_ca = ct_path("root.pem");
	sites[OTHER].client_auth = TLS_CLIENT_OPTIONAL;
	serve(&w, &opt);
	dial(&w, "other.test");
	show(&w, &member);
	assert_int_equal(shake(&w), 0);
	close_wire(&w);
	sites[OTHER].client_ca = ct_path("nothing.pem");
	opt = options(sites + 2, 2);
	refuses(sites + 2, "holds no certificates of authorities");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_site_asks_whom_it_wants),
		cmocka_unit_test(a_first_site_that_asks_speaks_for_itself),
		cmocka_unit_test(a_host_is_of_one_site),
		cmocka_unit_test(sessions_are_of_one_site),
		cmocka_unit_test(names_that_cannot_be_are_refused),
		cmocka_unit_test(each_file_of_authorities_is_read_once),
	};

	if (crypto_pool_install() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
