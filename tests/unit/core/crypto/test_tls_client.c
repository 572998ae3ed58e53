/* SPDX-License-Identifier: Apache-2.0 */
/* The client's side against OpenSSL's server, over memory, in pieces of every size. */
#include "core/crypto/tls_client.c"

#include "tests/unit/core/crypto/certs.c"

#include "core/crypto/crypto_pool.h"

enum { HOUR = 3600, ROOM = 40000, PEERS = 4 };

static const struct ct_cert root = { "root", NULL, -60, HOUR, NULL };
static const struct ct_cert elsewhere = { "elsewhere", NULL, -60, HOUR, NULL };
static const struct ct_cert site = { "site",
				     "DNS:site.test,DNS:*.site.test,IP:192.0.2.7,IP:2001:db8::7",
				     -60, HOUR, &root };
static const struct ct_cert late = { "late", "DNS:late.test", -HOUR, 60, &root };
static const struct ct_cert early = { "early", "DNS:early.test", HOUR, HOUR, &root };
static const struct ct_cert self = { "self.test", "DNS:self.test", -60, HOUR, NULL };
static const struct ct_cert stranger = { "stranger", "DNS:stranger.test", -60, HOUR, &elsewhere };
static const struct ct_cert common = { "common.test", NULL, -60, HOUR, &root };
static const struct ct_cert cut = { "cut", NULL, -60, HOUR, &root };
static const struct ct_cert gateway = { "gateway", NULL, -60, HOUR, &root };

/* A DNS name with a NUL in it: "cut.test", where texts end at the first NUL. */
static void write_cut(void)
{
	static const char name[] = "cut.test\0.elsewhere.test";
	EVP_PKEY *key = stored_key("cut"), *signer = stored_key("root");
	X509 *x = ct_x509(&cut, key);
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *one = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();
	FILE *out = fopen(ct_path("cut.pem"), "we");

	assert_true(ASN1_STRING_set(text, name, sizeof(name) - 1));
	GENERAL_NAME_set0_value(one, GEN_DNS, text);
	assert_true(sk_GENERAL_NAME_push(names, one));
	assert_true(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0));
	assert_true(X509_sign(x, signer, EVP_sha256()) > 0);
	assert_non_null(out);
	assert_true(PEM_write_X509(out, x));
	assert_int_equal(fclose(out), 0);
	GENERAL_NAMES_free(names);
	X509_free(x);
	EVP_PKEY_free(signer);
	EVP_PKEY_free(key);
}

static int setup(void **state)
{
	static const struct ct_cert *const all[] = { &root, &elsewhere, &site,   &late, &early,
						     &self, &stranger,  &common, &cut,  &gateway };

	(void)state;
	ct_begin();
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		ct_write(all[i]);
	write_cut();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ct_end();
	return 0;
}

/* --- Both ends of a wire. ---------------------------------------------------------------------- */

struct wire {
	struct tls_trust *trust;
	struct tls_client *client;
	SSL_CTX *server_ctx;
	SSL *server;
	BIO *to_server, *from_server;
	struct tls tls;
	uint8_t room[ROOM];
	uint8_t lent[ROOM]; /* What the client was given last. */
	uint32_t piece;
	int server_result; /* Of its handshake: 1, or an SSL_ERROR_*. */
};

static struct tls_pair pair_of(const struct ct_cert *cert)
{
	char file[80];
	struct tls_pair pair;

	(void)snprintf(file, sizeof(file), "%s.pem", cert->name);
	pair.cert_file = ct_path(file);
	(void)snprintf(file, sizeof(file), "%s.key", cert->name);
	pair.key_file = ct_path(file);
	return pair;
}

static int choose(SSL *ssl, const unsigned char **ret, unsigned char *ret_len,
		  const unsigned char *offered, unsigned int len, void *arg)
{
	const char *ours = arg;
	unsigned char *chosen;

	(void)ssl;
	if (SSL_select_next_proto(&chosen, ret_len, (const unsigned char *)ours,
				  (unsigned int)strlen(ours), offered,
				  len) != OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_ALERT_FATAL;
	*ret = chosen;
	return SSL_TLSEXT_ERR_OK;
}

static void trust(struct wire *w, const struct tls_trust_options *opt)
{
	char why[TLS_WHY_MAX] = "";

	*w = (struct wire){ .piece = UINT32_MAX };
	if (tls_trust_read(opt, why, &w->trust) < 0)
		fail_msg("%s", why);
	assert_int_equal(tls_client_create(w->trust, PEERS, &w->client), 0);
}

/* The peer shows this from now on. */
static void serve(struct wire *w, const struct ct_cert *cert)
{
	struct tls_pair pair = pair_of(cert);

	SSL_CTX_free(w->server_ctx);
	w->server_ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(
		SSL_CTX_use_certificate_file(w->server_ctx, pair.cert_file, SSL_FILETYPE_PEM), 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(w->server_ctx, pair.key_file, SSL_FILETYPE_PEM), 1);
	SSL_CTX_set_session_id_context(w->server_ctx, (const unsigned char *)"t", 1);
}

static void dial_slot(struct wire *w, const char *name, uint32_t slot)
{
	struct tls_peer peer = { w->client, slice_of(name), slot, TLS_PROTOCOL_HTTP1 };

	w->server = SSL_new(w->server_ctx);
	w->to_server = BIO_new(BIO_s_mem());
	w->from_server = BIO_new(BIO_s_mem());
	SSL_set_bio(w->server, w->to_server, w->from_server);
	SSL_set_accept_state(w->server);
	assert_int_equal(tls_dial(&w->tls, &peer), 0);
	tls_room(&w->tls, w->room, sizeof(w->room));
}

static void dial(struct wire *w, const char *name)
{
	dial_slot(w, name, 0);
}

static void hang_up(struct wire *w)
{
	tls_close(&w->tls);
	SSL_free(w->server);
	w->server = NULL;
}

static void close_wire(struct wire *w)
{
	if (w->server)
		hang_up(w);
	SSL_CTX_free(w->server_ctx);
	tls_client_free(w->client);
	tls_trust_free(w->trust);
}

static void carry_out(struct wire *w)
{
	if (w->tls.out_len > 0)
		BIO_write(w->to_server, w->room, (int)w->tls.out_len);
	tls_room(&w->tls, w->room, sizeof(w->room));
}

/* The next piece of what the server has sent; false when there is none. */
static bool carry_in(struct wire *w)
{
	uint32_t max = w->piece < sizeof(w->lent) ? w->piece : sizeof(w->lent);
	int n;

	assert_int_equal(w->tls.in_len, 0);
	n = BIO_read(w->from_server, w->lent, (int)max);
	if (n <= 0)
		return false;
	tls_give(&w->tls, w->lent, (uint32_t)n);
	return true;
}

static void serve_on(struct wire *w)
{
	int n;

	ERR_clear_error();
	n = SSL_do_handshake(w->server);
	w->server_result = n == 1 ? 1 : SSL_get_error(w->server, n);
}

/* Until neither side can go on; the client's last word. */
static int shake(struct wire *w)
{
	int r = tls_handshake(&w->tls);

	for (int i = 0; i < 100000 && r == -EAGAIN; i++) {
		carry_out(w);
		serve_on(w);
		if (!carry_in(w))
			return r;
		r = tls_handshake(&w->tls);
	}
	carry_out(w);
	serve_on(w);
	return r;
}

/* What comes behind a handshake: tickets, or an alert. */
static int32_t listen_once(struct wire *w)
{
	char got[64];
	int32_t n = -EAGAIN;

	while (n == -EAGAIN && carry_in(w))
		n = tls_read(&w->tls, got, sizeof(got));
	return n;
}

static struct tls_trust_options ours(void)
{
	return (struct tls_trust_options){ .ca_file = ct_path("root.pem") };
}

/* --- Tests. ------------------------------------------------------------------------------------ */

static void bytes_cross_in_pieces_of_any_size(void **state)
{
	static const uint32_t pieces[] = { 1, 2, 3, 5, 7, 64, 1000, UINT32_MAX };
	char got[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct tls_trust_options opt = ours();
		struct wire w;
		int32_t n = -EAGAIN;

		trust(&w, &opt);
		serve(&w, &site);
		w.piece = pieces[i];
		dial(&w, "site.test");
		assert_int_equal(shake(&w), 0);
		assert_int_equal(w.server_result, 1);
		assert_int_equal(tls_minor(&w.tls), 3);
		assert_int_equal(tls_write(&w.tls, "ping!", 5), 5);
		carry_out(&w);
		assert_int_equal(SSL_read(w.server, got, sizeof(got)), 5);
		assert_memory_equal(got, "ping!", 5);
		assert_int_equal(SSL_write(w.server, "pong", 4), 4);
		while (n == -EAGAIN && carry_in(&w)) /* Behind the tickets. */
			n = tls_read(&w.tls, got, sizeof(got));
		assert_int_equal(n, 4);
		assert_memory_equal(got, "pong", 4);
		assert_int_equal(tls_read(&w.tls, got, sizeof(got)), -EAGAIN);
		close_wire(&w);
	}
}

static void certificates_are_judged(void **state)
{
	static const struct {
		const struct ct_cert *shown;
		const char *name;
		int r;
		enum tls_failure failure;
	} rows[] = {
		{ &site, "site.test", 0, TLS_FAILURE_OTHER },
		{ &site, "SITE.Test", 0, TLS_FAILURE_OTHER },
		{ &site, "a.site.test", 0, TLS_FAILURE_OTHER },
		{ &site, "192.0.2.7", 0, TLS_FAILURE_OTHER },
		{ &site, "2001:db8::7", 0, TLS_FAILURE_OTHER },
		{ &site, "192.0.2.8", -EPROTO, TLS_FAILURE_NAME },
		{ &site, "a.b.site.test", -EPROTO, TLS_FAILURE_NAME },
		{ &site, "other.test", -EPROTO, TLS_FAILURE_NAME },
		{ &site, "site.tes", -EPROTO, TLS_FAILURE_NAME },
		{ &cut, "cut.test", -EPROTO, TLS_FAILURE_NAME },
		{ &common, "common.test", -EPROTO, TLS_FAILURE_NAME },
		{ &late, "late.test", -EPROTO, TLS_FAILURE_EXPIRED },
		{ &early, "early.test", -EPROTO, TLS_FAILURE_EXPIRED },
		{ &self, "self.test", -EPROTO, TLS_FAILURE_CERTIFICATE },
		{ &stranger, "stranger.test", -EPROTO, TLS_FAILURE_CERTIFICATE },
	};
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	assert_true(tls_trust_verifies(w.trust));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int r;

		serve(&w, rows[i].shown);
		dial(&w, rows[i].name);
		r = shake(&w);
		if (r != rows[i].r || tls_failure(&w.tls) != rows[i].failure)
			fail_msg("%s as %s: %d, %d", rows[i].shown->name, rows[i].name, r,
				 tls_failure(&w.tls));
		hang_up(&w);
	}
	close_wire(&w);
}

static void whoever_answers_is_believed_only_when_told_so(void **state)
{
	static const struct ct_cert *const shown[] = { &late, &self, &stranger, &cut };
	struct tls_trust_options opt = { .unverified = true };
	struct wire w;

	(void)state;
	trust(&w, &opt);
	assert_false(tls_trust_verifies(w.trust));
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++) {
		serve(&w, shown[i]);
		dial(&w, "site.test");
		assert_int_equal(shake(&w), 0);
		hang_up(&w);
	}
	close_wire(&w);
}

static void the_name_is_asked_for(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	dial(&w, "a.site.test");
	assert_int_equal(shake(&w), 0);
	assert_string_equal(SSL_get_servername(w.server, TLSEXT_NAMETYPE_host_name), "a.site.test");
	hang_up(&w);
	dial(&w, "192.0.2.7"); /* An address is no host name (RFC 6066 3). */
	assert_int_equal(shake(&w), 0);
	assert_null(SSL_get_servername(w.server, TLSEXT_NAMETYPE_host_name));
	close_wire(&w);
}

static void a_protocol_is_agreed_on(void **state)
{
	static char both[] = "\2h2\10http/1.1", only_h2[] = "\2h2";
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	dial(&w, "site.test"); /* A server that chooses none. */
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_protocol(&w.tls), TLS_PROTOCOL_HTTP1);
	hang_up(&w);
	SSL_CTX_set_alpn_select_cb(w.server_ctx, choose, both);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_protocol(&w.tls), TLS_PROTOCOL_HTTP1);
	hang_up(&w);
	SSL_CTX_set_alpn_select_cb(w.server_ctx, choose, only_h2);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_PROTOCOL);
	close_wire(&w);
}

static void versions_are_ours(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	SSL_CTX_set_security_level(w.server_ctx, 0);
	SSL_CTX_set_min_proto_version(w.server_ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(w.server_ctx, TLS1_1_VERSION);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), -EPROTO);
	hang_up(&w);
	SSL_CTX_set_max_proto_version(w.server_ctx, TLS1_2_VERSION);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	assert_int_equal(tls_minor(&w.tls), 2);
	close_wire(&w);

	opt = ours();
	opt.least_1_3 = true;
	trust(&w, &opt);
	serve(&w, &site);
	SSL_CTX_set_max_proto_version(w.server_ctx, TLS1_2_VERSION);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_ALERT);
	close_wire(&w);
}

static void we_say_who_we_are(void **state)
{
	struct tls_trust_options opt = ours();
	struct tls_pair pair = pair_of(&gateway);
	X509 *shown;
	struct wire w;

	(void)state;
	opt.pair = &pair;
	trust(&w, &opt);
	assert_in_range(tls_trust_expiry(w.trust), time(NULL) + HOUR - 120, time(NULL) + HOUR);
	serve(&w, &site);
	assert_true(SSL_CTX_load_verify_file(w.server_ctx, ct_path("root.pem")));
	SSL_CTX_set_verify(w.server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	assert_int_equal(w.server_result, 1);
	shown = SSL_get1_peer_certificate(w.server);
	assert_non_null(shown);
	X509_free(shown);
	close_wire(&w);
}

/* TLS 1.3 tells it behind the handshake, TLS 1.2 in it. */
static void a_server_that_asks_in_vain_refuses(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	SSL_CTX_set_verify(w.server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	assert_int_equal(listen_once(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_ALERT);
	hang_up(&w);
	SSL_CTX_set_max_proto_version(w.server_ctx, TLS1_2_VERSION);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_ALERT);
	close_wire(&w);
}

/* T08: whatever comes in the place of a handshake is none. */
static void what_is_no_handshake_ends_it(void **state)
{
	static const char *const said[] = {
		"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
		"\x17\x03\x03\x00\x04ping behind",
		"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b",
	};
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	for (size_t i = 0; i < ARRAY_SIZE(said); i++) {
		size_t len = i == 1 ? 16 : strlen(said[i]);

		dial(&w, "site.test");
		assert_int_equal(tls_handshake(&w.tls), -EAGAIN);
		tls_give(&w.tls, said[i], (uint32_t)len);
		assert_int_equal(tls_handshake(&w.tls), -EPROTO);
		hang_up(&w);
	}
	close_wire(&w);
}

/* --- Sessions. --------------------------------------------------------------------------------- */

static bool resumes(struct wire *w, const char *name, uint32_t slot)
{
	bool resumed;

	dial_slot(w, name, slot);
	assert_int_equal(shake(w), 0);
	assert_int_equal(listen_once(w), -EAGAIN); /* The tickets. */
	resumed = tls_is_resumed(&w->tls);
	assert_int_equal(resumed, SSL_session_reused(w->server));
	hang_up(w);
	return resumed;
}

static void sessions_are_resumed_with_their_peer(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct tls_trust_options opt = ours();
		struct wire w;

		trust(&w, &opt);
		serve(&w, &site);
		SSL_CTX_set_max_proto_version(w.server_ctx, versions[i]);
		assert_false(resumes(&w, "site.test", 0));
		for (int k = 0; k < 5; k++)
			assert_true(resumes(&w, "site.test", 0));
		assert_false(resumes(&w, "site.test", 1));
		assert_true(resumes(&w, "site.test", 1));
		assert_false(resumes(&w, "a.site.test", 0)); /* The slot has become another's. */
		assert_true(resumes(&w, "a.site.test", 0));
		assert_false(resumes(&w, "site.test", 0));
		close_wire(&w);
	}
}

static void a_session_ends_with_its_hour(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;
	int64_t until_s;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	assert_false(resumes(&w, "site.test", 0));
	until_s = w.client->kept[0].until_s;
	/* The certificate's own end comes first, a minute before the hour is over. */
	assert_in_range(until_s, time(NULL) + HOUR - 120, time(NULL) + HOUR - 1);
	w.client->kept[0].until_s = until_s - 100;
	assert_true(resumes(&w, "site.test", 0));
	assert_int_equal(w.client->kept[0].until_s,
			 until_s - 100); /* A new ticket is no new look. */
	w.client->kept[0].until_s = time(NULL);
	assert_false(resumes(&w, "site.test", 0));
	close_wire(&w);
}

/* A connection that began under a name keeps nothing when its slot has another's by then. */
static void a_late_ticket_is_not_anothers(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;
	struct tls other;
	struct tls_peer peer = { NULL, SLICE("a.site.test"), 0, TLS_PROTOCOL_HTTP1 };

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	peer.client = w.client;
	assert_int_equal(tls_dial(&other, &peer), 0);
	assert_int_equal(listen_once(&w), -EAGAIN);
	assert_null(w.client->kept[0].session);
	tls_close(&other);
	close_wire(&w);
}

static void a_session_that_fails_is_forgotten(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	assert_false(resumes(&w, "site.test", 0));
	dial(&w, "site.test");
	assert_int_equal(tls_handshake(&w.tls), -EAGAIN);
	tls_give(&w.tls, "noise, and no record", 20);
	assert_int_equal(tls_handshake(&w.tls), -EPROTO);
	hang_up(&w);
	assert_false(resumes(&w, "site.test", 0));
	close_wire(&w);
}

static void a_client_is_busy_while_a_connection_is_open(void **state)
{
	struct tls_trust_options opt = ours();
	struct wire w;

	(void)state;
	trust(&w, &opt);
	serve(&w, &site);
	assert_false(tls_client_is_busy(w.client));
	dial(&w, "site.test");
	assert_true(tls_client_is_busy(w.client));
	hang_up(&w);
	assert_false(tls_client_is_busy(w.client));
	close_wire(&w);
}

/* --- Files. ------------------------------------------------------------------------------------ */

static void refuses(const struct tls_trust_options *opt, const char *cause)
{
	struct tls_trust *trust = NULL;
	char why[TLS_WHY_MAX] = "";

	assert_int_equal(tls_trust_read(opt, why, &trust), -EINVAL);
	assert_null(trust);
	if (!strstr(why, cause) || !strstr(why, ct_folder))
		fail_msg("'%s' does not name the file, or '%s'", why, cause);
}

static void broken_files_are_refused(void **state)
{
	struct tls_trust_options opt = { .ca_file = ct_path("nothing.pem") };
	struct tls_pair pair = pair_of(&late);

	(void)state;
	refuses(&opt, "holds no certificates of authorities");
	opt.ca_file = ct_path("root.key");
	refuses(&opt, "holds no certificates of authorities");
	opt = ours();
	opt.pair = &pair;
	refuses(&opt, "has expired");
	pair.key_file = pair_of(&site).key_file;
	refuses(&opt, "is not the key of the certificate");
}

static void the_systems_store_may_be_named(void **state)
{
	struct tls_trust_options opt = { 0 };
	struct wire w;

	(void)state;
	assert_int_equal(setenv("SSL_CERT_FILE", ct_path("root.pem"), 1), 0);
	trust(&w, &opt);
	serve(&w, &site);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), 0);
	close_wire(&w);
	assert_int_equal(setenv("SSL_CERT_FILE", ct_path("nothing.pem"), 1), 0);
	refuses(&opt, "holds no certificates of authorities");
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
}

static void a_system_may_know_no_authority(void **state)
{
	struct tls_trust_options opt = { .may_be_empty = true };
	struct wire w;

	(void)state;
	assert_int_equal(setenv("SSL_CERT_FILE", ct_path("nothing.pem"), 1), 0);
	trust(&w, &opt);
	assert_true(tls_trust_verifies(w.trust) && tls_trust_is_empty(w.trust));
	serve(&w, &site);
	dial(&w, "site.test");
	assert_int_equal(shake(&w), -EPROTO);
	assert_int_equal(tls_failure(&w.tls), TLS_FAILURE_CERTIFICATE);
	close_wire(&w);
	assert_int_equal(setenv("SSL_CERT_FILE", ct_path("root.pem"), 1), 0);
	trust(&w, &opt);
	assert_false(tls_trust_is_empty(w.trust));
	close_wire(&w);
	assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
	opt.ca_file = ct_path("nothing.pem"); /* Who names one means it. */
	refuses(&opt, "holds no certificates of authorities");
}

/* A pool that is used up fails the connection that asks, and nothing leaks. */
static void a_pool_bounds_connections(void **state)
{
	enum { MANY = 64 };
	struct tls_peer peer = { NULL, SLICE("site.test"), 0, TLS_PROTOCOL_HTTP1 };
	struct tls_trust_options opt = ours();
	struct crypto_pool *pool;
	struct tls opened[MANY];
	struct wire w;
	int n = 0;
	uint64_t used;

	(void)state;
	trust(&w, &opt);
	assert_int_equal(crypto_pool_attach(256 * 1024, &pool), 0);
	used = crypto_pool_stats(pool).used;
	peer.client = w.client;
	while (n < MANY && tls_dial(&opened[n], &peer) == 0)
		n++;
	assert_in_range(n, 2, MANY - 1);
	while (n > 0)
		tls_close(&opened[--n]);
	assert_false(tls_client_is_busy(w.client));
	assert_int_equal(tls_dial(&opened[0], &peer), 0);
	tls_close(&opened[0]);
	assert_in_range(crypto_pool_stats(pool).used, used, used + 4096);
	crypto_pool_detach();
	close_wire(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_cross_in_pieces_of_any_size),
		cmocka_unit_test(certificates_are_judged),
		cmocka_unit_test(whoever_answers_is_believed_only_when_told_so),
		cmocka_unit_test(the_name_is_asked_for),
		cmocka_unit_test(a_protocol_is_agreed_on),
		cmocka_unit_test(versions_are_ours),
		cmocka_unit_test(we_say_who_we_are),
		cmocka_unit_test(a_server_that_asks_in_vain_refuses),
		cmocka_unit_test(what_is_no_handshake_ends_it),
		cmocka_unit_test(sessions_are_resumed_with_their_peer),
		cmocka_unit_test(a_session_ends_with_its_hour),
		cmocka_unit_test(a_late_ticket_is_not_anothers),
		cmocka_unit_test(a_session_that_fails_is_forgotten),
		cmocka_unit_test(a_client_is_busy_while_a_connection_is_open),
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(the_systems_store_may_be_named),
		cmocka_unit_test(a_system_may_know_no_authority),
		cmocka_unit_test(a_pool_bounds_connections),
	};

	if (crypto_pool_install() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
