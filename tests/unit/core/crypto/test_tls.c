/* SPDX-License-Identifier: Apache-2.0 */
/* The server's side against OpenSSL's client, over memory, in pieces of every size. */
#include "tests/unit/core/crypto/certs.c"
#include "tests/unit/core/crypto/wire.c"

#include <errno.h>

#include <openssl/err.h>
#include <pthread.h>

#include "core/base/alloc_trap.h"
#include "core/crypto/crypto_pool.h"
#include "core/crypto/tls_identity.h"
#include "core/crypto/tls_server.h"

enum { HOUR = 3600 };

static const struct ct_cert site = { "site", "DNS:site.test,DNS:*.site.test", -60, HOUR, NULL };
static const struct ct_cert other = { "other", "DNS:other.test,IP:192.0.2.7,IP:2001:db8::7", -60,
				      HOUR, NULL };
static const struct ct_cert late = { "late", "DNS:late.test", -HOUR, 60, NULL };
static const struct ct_cert root = { "root", NULL, -60, HOUR, NULL };
static const struct ct_cert member = { "member", "URI:spiffe://site.test/member,DNS:Member.test",
				       -60, HOUR, &root };
static const struct ct_cert stranger = { "stranger", NULL, -60, HOUR, NULL };

static int setup(void **state)
{
	(void)state;
	ct_begin();
	ct_write(&site);
	ct_write(&other);
	ct_write(&late);
	ct_write(&root);
	ct_write(&member);
	ct_write(&stranger);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ct_end();
	return 0;
}

/* --- Tests. ------------------------------------------------------------------------------------ */

static void bytes_cross_in_pieces_of_any_size(void **state)
{
	static const uint32_t pieces[] = { 1, 2, 3, 5, 7, 64, 1000, UINT32_MAX };
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	char got[64];

	(void)state;
	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		struct wire w;
		int32_t n = -EAGAIN;

		serve(&w, &opt);
		w.piece = pieces[i];
		dial(&w, "site.test");
		assert_int_equal(shake(&w), 0);
		assert_int_equal(SSL_write(w.client, "ping", 4), 4);
		while (n == -EAGAIN && carry_in(&w))
			n = tls_read(&w.tls, got, sizeof(got));
		assert_int_equal(n, 4);
		assert_memory_equal(got, "ping", 4);
		assert_int_equal(tls_read(&w.tls, got, sizeof(got)), -EAGAIN);
		assert_int_equal(tls_write(&w.tls, "pong!", 5), 5);
		carry_out(&w);
		assert_int_equal(SSL_read(w.client, got, sizeof(got)), 5);
		assert_memory_equal(got, "pong!", 5);
		close_wire(&w);
	}
}

static void what_does_not_fit_waits_for_room(void **state)
{
	static uint8_t much[50000], got[50000];
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;
	uint32_t done = 0, n_rooms = 0;
	int n_got = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (uint8_t)(i * 7);
	serve(&w, &opt);
	dial(&w, NULL);
	assert_int_equal(shake(&w), 0);
	tls_room(&w.tls, w.room, 100);
	assert_int_equal(tls_write(&w.tls, much, sizeof(much)), -ENOBUFS);
	tls_room(&w.tls, w.room, sizeof(w.room));
	while (done < sizeof(much)) {
		int32_t n = tls_write(&w.tls, much + done, (uint32_t)sizeof(much) - done);

		assert_true(n > 0);
		done += (uint32_t)n;
		carry_out(&w);
		n_rooms++;
	}
	assert_int_equal(n_rooms, 2); /* Of 40,000 bytes two records fit. */
	while (n_got < (int)sizeof(got)) {
		int n = SSL_read(w.client, got + n_got, (int)sizeof(got) - n_got);

		assert_true(n > 0);
		n_got += n;
	}
	assert_memory_equal(got, much, sizeof(much));
	close_wire(&w);
}

static void an_end_is_told(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;
	char got[8];
	int n;

	(void)state;
	serve(&w, &opt);
	dial(&w, NULL);
	assert_int_equal(shake(&w), 0);
	SSL_shutdown(w.client);
	assert_true(carry_in(&w));
	assert_int_equal(tls_read(&w.tls, got, sizeof(got)), 0);
	assert_int_equal(tls_write(&w.tls, "late", 4), 4); /* Half closed: we may still speak. */
	tls_end(&w.tls);
	carry_out(&w);
	assert_int_equal(SSL_read(w.client, got, sizeof(got)), 4);
	n = SSL_read(w.client, got, sizeof(got));
	assert_int_equal(SSL_get_error(w.client, n), SSL_ERROR_ZERO_RETURN);
	close_wire(&w);
}

/* With its second wish for new keys those for the first are due: no room must not cost the end. */
static void an_end_is_told_behind_new_keys(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;
	char got[8];
	int n;

	(void)state;
	serve(&w, &opt);
	dial(&w, NULL);
	assert_int_equal(shake(&w), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(SSL_key_update(w.client, SSL_KEY_UPDATE_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(w.client), 1);
	}
	assert_true(carry_in(&w));
	tls_room(&w.tls, NULL, 0);
	assert_int_equal(tls_read(&w.tls, got, sizeof(got)), -ENOBUFS);
	tls_room(&w.tls, w.room, sizeof(w.room));
	tls_end(&w.tls);
	carry_out(&w);
	n = SSL_read(w.client, got, sizeof(got));
	assert_int_equal(SSL_get_error(w.client, n), SSL_ERROR_ZERO_RETURN);
	close_wire(&w);
}

static void a_name_finds_its_certificate(void **state)
{
	static const struct {
		const char *asked, *shown;
	} rows[] = {
		{ NULL, "site" },          { "site.test", "site" },   { "a.site.test", "site" },
		{ "other.test", "other" }, { "OTHER.Test", "other" }, { "a.other.test", "site" },
		{ "nobody.test", "site" },
	};
	struct tls_entry entries[] = { entry_of(&site), entry_of(&other) };
	struct tls_credentials_options opt = options(entries, 2);
	struct wire w;
	char text[80];

	(void)state;
	serve(&w, &opt);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dial(&w, rows[i].asked);
		assert_int_equal(shake(&w), 0);
		assert_string_equal(shown_name(&w, text), rows[i].shown);
		hang_up(&w);
	}
	close_wire(&w);

	opt.strict_names = true;
	serve(&w, &opt);
	dial(&w, "nobody.test");
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_NAME);
	close_wire(&w);
}

/* Whether requests for a host are meant for a connection to 'asked', by the certificate shown. */
static void hosts_are_those_of_the_certificate(void **state)
{
	static const struct {
		const char *asked, *host;
		bool served;
	} rows[] = {
		{ "site.test", "site.test", true },   { "site.test", "a.site.test", true },
		{ "site.test", "other.test", false }, { "other.test", "other.test", true },
		{ "other.test", "site.test", false }, { NULL, "site.test", true },
		{ NULL, "other.test", false },        { "site.test", "a.b.site.test", false },
		{ "site.test", "192.0.2.7", false },  { "site.test", "[2001:db8::7]", false },
		{ "other.test", "192.0.2.7", true },  { "other.test", "[2001:db8::7]", true },
		{ "other.test", "192.0.2.8", false },
	};
	struct tls_entry entries[] = { entry_of(&site), entry_of(&other) };
	struct tls_credentials_options opt = options(entries, 2);
	struct wire w;

	(void)state;
	serve(&w, &opt);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	assert_true(tls_serves(&w.tls, SLICE("other.test"))); /* Nobody is asked who he is. */
	assert_true(slice_eq(tls_server_name(&w.tls), SLICE("site.test")));
	assert_true(slice_starts_with(tls_cipher(&w.tls), SLICE("TLS_AES_")));
	close_wire(&w);

	for (size_t i = 0; i < 2; i++)
		ask(&entries[i], &root, TLS_CLIENT_OPTIONAL);
	serve(&w, &opt);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		dial(&w, rows[i].asked);
		assert_int_equal(shake(&w), 0);
		if (tls_serves(&w.tls, slice_of(rows[i].host)) != rows[i].served)
			fail_msg("%s for %s", rows[i].host, rows[i].asked);
		hang_up(&w);
	}
	close_wire(&w);
}

static void versions_and_protocols_are_ours(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;

	(void)state;
	serve(&w, &opt);
	SSL_CTX_set_security_level(w.client_ctx, 0);
	SSL_CTX_set_min_proto_version(w.client_ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(w.client_ctx, TLS1_1_VERSION);
	dial(&w, NULL);
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_VERSION);
	hang_up(&w);
	SSL_CTX_set_max_proto_version(w.client_ctx, TLS1_2_VERSION);
	dial(&w, NULL);
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_minor(&w.tls), 2);
	hang_up(&w);
	SSL_CTX_set_max_proto_version(w.client_ctx, TLS1_3_VERSION);
	dial(&w, "site.test");
	assert_int_equal(SSL_set_alpn_protos(w.client, (const unsigned char *)"\2h2", 3), 0);
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_PROTOCOL);
	hang_up(&w);
	dial(&w, "site.test");
	assert_int_equal(
		SSL_set_alpn_protos(w.client, (const unsigned char *)"\2h2\10http/1.1", 12), 0);
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_protocol(&w.tls), TLS_PROTOCOL_HTTP1);
	assert_int_equal(tls_minor(&w.tls), 3);
	close_wire(&w);

	opt.http2 = opt.least_1_3 = true;
	serve(&w, &opt);
	dial(&w, NULL);
	assert_int_equal(
		SSL_set_alpn_protos(w.client, (const unsigned char *)"\10http/1.1\2h2", 12), 0);
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_protocol(&w.tls), TLS_PROTOCOL_HTTP2); /* By our preference. */
	hang_up(&w);
	SSL_CTX_set_max_proto_version(w.client_ctx, TLS1_2_VERSION);
	dial(&w, NULL);
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_VERSION);
	close_wire(&w);
}

static void plain_http_and_noise_are_told_apart(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;

	(void)state;
	serve(&w, &opt);
	dial(&w, NULL);
	tls_give(&w.tls, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27);
	assert_int_equal(tls_handshake(&w.tls), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_PLAIN_HTTP);
	hang_up(&w);
	dial(&w, NULL);
	tls_give(&w.tls, "\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b", 11);
	assert_int_equal(tls_handshake(&w.tls), -EPROTO);
	assert_int_not_equal(tls_failure(&w.tls), TLS_FAILURE_PLAIN_HTTP);
	close_wire(&w);
}

static void sessions_are_resumed_by_all_workers_under_one_name(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_entry entries[] = { entry_of(&site), entry_of(&other) };
	struct tls_credentials_options opt = options(entries, 2);
	struct tls_server *second;
	struct wire w;

	(void)state;
	serve(&w, &opt);
	assert_int_equal(tls_server_create(w.credentials, &second), 0);
	for (int i = 0; i < 2; i++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[i]);
		assert_true(resumes(&w, w.server, "site.test", "site.test"));
		assert_true(resumes(&w, second, "site.test", "site.test"));
		assert_true(resumes(&w, second, "other.test", "other.test"));
		assert_false(resumes(&w, w.server, "site.test", "other.test"));
		assert_false(resumes(&w, w.server, "other.test", "site.test"));
	}
	tls_server_free(second);
	close_wire(&w);
}

/* A session made now: is it resumed after so many rotations of the keys? */
static bool survives(struct wire *w, int n_rotations)
{
	SSL_SESSION *session;
	char got[8];
	bool resumed;

	dial(w, "site.test");
	assert_int_equal(shake(w), 0);
	assert_int_equal(SSL_read(w->client, got, sizeof(got)), -1);
	session = SSL_get1_session(w->client);
	SSL_set_shutdown(w->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	hang_up(w);
	while (n_rotations-- > 0)
		assert_int_equal(tls_credentials_renew_tickets(w->credentials), 0);
	dial(w, "site.test");
	assert_true(SSL_set_session(w->client, session));
	SSL_SESSION_free(session);
	assert_int_equal(shake(w), 0);
	resumed = tls_is_resumed(&w->tls);
	hang_up(w);
	return resumed;
}

static void a_key_opens_tickets_of_two_rotations(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;

	(void)state;
	serve(&w, &opt);
	for (int i = 0; i < 2; i++) {
		SSL_CTX_set_max_proto_version(w.client_ctx, versions[i]);
		assert_true(survives(&w, 0));
		assert_true(survives(&w, 1));
		assert_false(survives(&w, 2));
	}
	close_wire(&w);
}

static void clients_show_who_they_are(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct tls_identity identity;
	struct wire w;

	(void)state;
	ask(&entry, &root, TLS_CLIENT_REQUIRED);
	serve(&w, &opt);
	dial(&w, NULL);
	show(&w, &member);
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_identity(&w.tls, &identity), 1);
	assert_memory_equal(identity.subject, "CN=member", identity.subject_len);
	assert_true(
		slice_eq(identity.sans, SLICE("uri:spiffe://site.test/member dns:member.test")));
	tls_identity_free(&identity);
	/* No session outlives the certificate that it was made with. */
	assert_int_equal(SSL_read(w.client, identity.subject, 1), -1);
	assert_false(SSL_SESSION_is_resumable(SSL_get0_session(w.client)));
	hang_up(&w);
	dial(&w, NULL);
	show(&w, &stranger);
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_CERTIFICATE);
	hang_up(&w);
	dial(&w, NULL);
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_CERTIFICATE);
	close_wire(&w);

	ask(&entry, &root, TLS_CLIENT_OPTIONAL);
	serve(&w, &opt);
	dial(&w, NULL);
	assert_int_equal(shake(&w), 0);
	hang_up(&w);
	dial(&w, NULL);
	show(&w, &stranger);
	assert_int_equal(shake(&w), -EPROTO);
	close_wire(&w);
}

static void refuses(const struct tls_entry *entry, const char *cause)
{
	struct tls_credentials_options opt = options(entry, 1);
	struct tls_credentials *credentials = NULL;
	struct tls_refusal refusal;

	assert_int_equal(tls_credentials_read(&opt, &refusal, &credentials), -EINVAL);
	assert_null(credentials);
	assert_int_equal(refusal.what, TLS_REFUSED_PAIR);
	if (!strstr(refusal.why, cause) || !strstr(refusal.why, ct_folder))
		fail_msg("'%s' does not name the file, or '%s'", refusal.why, cause);
}

static void broken_files_are_refused(void **state)
{
	struct tls_entry entry = entry_of(&site);
	FILE *half = fopen(ct_path("half.pem"), "we");

	(void)state;
	assert_non_null(half);
	assert_true(fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", half) >= 0);
	assert_int_equal(fclose(half), 0);
	entry.pair.key_file = entry_of(&other).pair.key_file;
	refuses(&entry, "is not the key of the certificate");
	entry.pair.key_file = entry_of(&site).pair.cert_file;
	refuses(&entry, "holds no private key");
	entry = entry_of(&site);
	entry.pair.cert_file = ct_path("nothing.pem");
	refuses(&entry, "No such file");
	entry.pair.cert_file = entry.pair.key_file;
	refuses(&entry, "holds no certificate");
	entry.pair.cert_file = ct_path("half.pem");
	refuses(&entry, "holds no certificate");
	entry = entry_of(&site);
	entry.pair = entry_of(&late).pair;
	refuses(&entry, "has expired");
}

static void an_expiry_is_told(void **state)
{
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct wire w;
	struct slice name;
	int64_t expiry;

	(void)state;
	serve(&w, &opt);
	expiry = tls_credentials_expiry(w.credentials, 0, &name);
	assert_in_range(expiry, time(NULL) + HOUR - 120, time(NULL) + HOUR);
	assert_true(slice_eq(name, SLICE("site.test")));
	close_wire(&w);
}

/* A pool that is used up fails the connection that asks, and serves again when others have gone. */
static void a_pool_bounds_connections(void **state)
{
	enum { MANY = 64 };
	struct tls_entry entry = entry_of(&site);
	struct tls_credentials_options opt = options(&entry, 1);
	struct crypto_pool *pool;
	struct tls opened[MANY];
	struct wire w;
	int n = 0;
	uint64_t used;

	(void)state;
	serve(&w, &opt);
	assert_int_equal(crypto_pool_attach(256 * 1024, &pool), 0);
	used = crypto_pool_stats(pool).used;
	while (n < MANY && tls_open(&opened[n], w.server) == 0)
		n++;
	assert_in_range(n, 2, MANY - 1);
	assert_true(crypto_pool_stats(pool).refusals > 0);
	while (n > 0)
		tls_close(&opened[--n]);
	assert_int_equal(tls_open(&opened[0], w.server), 0);
	tls_close(&opened[0]);
	assert_in_range(crypto_pool_stats(pool).used, used, used + 4096);
	crypto_pool_detach();
	close_wire(&w);
}

/* --- Threads. -------------------------------------------------------------------------------- */

enum { THREADS = 20 };

static pthread_barrier_t all_are_here;

/* As a worker: it has its pool, and from then on may not ask for other memory. */
static void *begin_as_a_worker(void *arg)
{
	struct crypto_pool *pool;
	int r = crypto_pool_attach(1 << 20, &pool);

	GW_ASSERT(r == 0);
	(void)gw_forbid_malloc(true);
	ERR_clear_error();
	(void)gw_forbid_malloc(false);
	(void)pthread_barrier_wait(&all_are_here);
	crypto_pool_detach();
	return arg;
}

/* OpenSSL's list of threads grows with each. */
static void any_number_of_workers_begins(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	assert_int_equal(pthread_barrier_init(&all_are_here, NULL, THREADS), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, begin_as_a_worker, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	(void)pthread_barrier_destroy(&all_are_here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_cross_in_pieces_of_any_size),
		cmocka_unit_test(what_does_not_fit_waits_for_room),
		cmocka_unit_test(an_end_is_told),
		cmocka_unit_test(an_end_is_told_behind_new_keys),
		cmocka_unit_test(a_name_finds_its_certificate),
		cmocka_unit_test(hosts_are_those_of_the_certificate),
		cmocka_unit_test(versions_and_protocols_are_ours),
		cmocka_unit_test(plain_http_and_noise_are_told_apart),
		cmocka_unit_test(sessions_are_resumed_by_all_workers_under_one_name),
		cmocka_unit_test(a_key_opens_tickets_of_two_rotations),
		cmocka_unit_test(clients_show_who_they_are),
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(an_expiry_is_told),
		cmocka_unit_test(a_pool_bounds_connections),
		cmocka_unit_test(any_number_of_workers_begins),
	};

	if (crypto_pool_install() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
