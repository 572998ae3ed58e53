/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_tls.c - the record path against a peer of OpenSSL's own, over memory, with
 * hands on the wire: whatever is cut, flipped, dropped or put in, no byte is read
 * that the peer has not written, in its order, and no step breaks its contract. And
 * where nobody had a hand on it, all of them are read in the end.
 *
 * Input: one byte for our role and the version, then orders of two bytes each:
 * what to do, and how much of it.
 */
#include <openssl/err.h> /* Before base/banned.h. */
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <errno.h>
#include <string.h>

#include "core/crypto/tls_client.h"
#include "core/crypto/tls_server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ORDERS_MAX = 400, ROOM = 20000, TEN_YEARS_S = 10 * 365 * 24 * 3600 };

/* --- The same every time: randomness, and a certificate. --------------------------------------- */

static uint64_t random_state;

static int random_bytes(unsigned char *to, int n)
{
	for (int i = 0; i < n; i++) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		to[i] = (unsigned char)(random_state >> 56);
	}
	return 1;
}

static int random_ready(void)
{
	return 1;
}

static void take_random(void)
{
	static const RAND_METHOD method = { .bytes = random_bytes,
					    .pseudorand = random_bytes,
					    .status = random_ready };

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	GW_ASSERT(RAND_set_rand_method(&method) == 1);
#pragma GCC diagnostic pop
}

static EVP_PKEY *key;
static X509 *cert;

static void make_cert(void)
{
	X509_EXTENSION *name;

	key = EVP_EC_gen("P-256");
	cert = X509_new();
	GW_ASSERT(key && cert);
	X509_set_version(cert, X509_VERSION_3);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), TEN_YEARS_S);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
				   (const unsigned char *)"fuzz", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	name = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:fuzz.test");
	X509_add_ext(cert, name, -1);
	X509_EXTENSION_free(name);
	GW_ASSERT(X509_sign(cert, key, EVP_sha256()) > 0);
}

static struct tls_credentials *credentials;
static struct tls_server *server;
static struct tls_trust *trust;
static struct tls_client *client;
static SSL_CTX *peers[2]; /* By our role: of its client, of its server. */

static void write_pem(char path[], bool with_key)
{
	int fd = mkstemp(path);
	FILE *out = fdopen(fd, "we");

	GW_ASSERT(out);
	GW_ASSERT(with_key ? PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL)
			   : PEM_write_X509(out, cert));
	GW_ASSERT(fclose(out) == 0);
}

/* Files only because credentials are read from files. */
static void read_ours(void)
{
	char cert_path[] = "/tmp/fuzz-tls-XXXXXX", key_path[] = "/tmp/fuzz-tls-XXXXXX";
	struct tls_entry entry = { .pair = { cert_path, key_path } };
	struct tls_refusal refusal;
	char why[TLS_WHY_MAX];
	int r;

	write_pem(cert_path, false);
	write_pem(key_path, true);
	r = tls_credentials_read(&(struct tls_credentials_options){ .entries = &entry,
								    .n_entries = 1,
								    .http1 = true },
				 &refusal, &credentials);
	GW_ASSERT(r == 0);
	r = tls_trust_read(&(struct tls_trust_options){ .ca_file = cert_path }, why, &trust);
	GW_ASSERT(r == 0);
	(void)unlink(cert_path);
	(void)unlink(key_path);
	GW_ASSERT(tls_server_create(credentials, &server) == 0);
}

static void set_up(void)
{
	static bool done;

	if (done)
		return;
	done = true;
	take_random();
	make_cert();
	read_ours();
	peers[0] = SSL_CTX_new(TLS_client_method());
	peers[1] = SSL_CTX_new(TLS_server_method());
	GW_ASSERT(peers[0] && peers[1]);
	GW_ASSERT(SSL_CTX_use_certificate(peers[1], cert) && SSL_CTX_use_PrivateKey(peers[1], key));
	SSL_CTX_set_session_id_context(peers[1], (const unsigned char *)"f", 1);
}

/* --- A wire with hands on it. ------------------------------------------------------------------ */

static struct {
	struct tls tls;
	SSL *peer;
	BIO *to_peer, *from_peer;
	uint8_t room[ROOM], *lent;
	uint32_t n_written, n_read; /* Payload from the peer to us. */
	bool shaken, over;          /* Our handshake; our side, by a step's word. */
	bool touched;               /* Not all that the peer has said came as it was. */
} w;

static uint8_t payload_at(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8));
}

static void carry_out(void)
{
	GW_ASSERT(w.tls.out_len <= w.tls.out_size);
	if (w.tls.out_len > 0)
		BIO_write(w.to_peer, w.room, (int)w.tls.out_len);
	tls_room(&w.tls, w.room, sizeof(w.room));
}

/* What was lent is all used, or the step has said why not. */
static void check_word(int32_t r)
{
	GW_ASSERT(r >= 0 || r == -EAGAIN || r == -ENOBUFS || r == -EPROTO || r == -ENOMEM);
	GW_ASSERT(r != -EAGAIN || w.tls.in_len == 0);
	w.over = w.over || (r < 0 && r != -EAGAIN && r != -ENOBUFS);
	carry_out();
}

static void read_all(uint32_t size)
{
	uint8_t got[4096];
	int32_t n;

	do {
		n = tls_read(&w.tls, got, size < sizeof(got) ? size : sizeof(got));
		check_word(n);
		for (int32_t i = 0; i < n; i++)
			GW_ASSERT(w.n_read < w.n_written && got[i] == payload_at(w.n_read++));
	} while (n > 0);
	w.over = w.over || n == 0; /* The peer's orderly end. */
}

/* Both of our steps, as sealed.c goes about them. */
static void go_on(uint32_t size)
{
	if (!w.shaken && !w.over) {
		int r = tls_handshake(&w.tls);

		check_word(r);
		w.shaken = r == 0;
	}
	if (w.shaken && !w.over)
		read_all(size);
}

/* In a block of exactly that size. */
static void lend(const uint8_t *bytes, uint32_t len)
{
	if (w.over || len == 0)
		return;
	free(w.lent);
	w.lent = malloc(len);
	GW_ASSERT(w.lent);
	memcpy(w.lent, bytes, len);
	tls_give(&w.tls, w.lent, len);
	go_on(4096);
}

static uint32_t take_from_peer(uint8_t bytes[], uint32_t n)
{
	int got = BIO_read(w.from_peer, bytes, (int)n);

	return got > 0 ? (uint32_t)got : 0;
}

static void move_peer(void)
{
	uint8_t away[4096];

	ERR_clear_error();
	SSL_do_handshake(w.peer);
	while (SSL_read(w.peer, away, sizeof(away)) > 0)
		;
	ERR_clear_error();
}

static void peer_writes(uint32_t n)
{
	uint8_t bytes[1024];

	for (uint32_t i = 0; i < n; i++)
		bytes[i] = payload_at(w.n_written + i);
	if (n > 0 && SSL_is_init_finished(w.peer) && SSL_write(w.peer, bytes, (int)n) == (int)n)
		w.n_written += n;
}

static void we_write(uint32_t n)
{
	static const uint8_t bytes[4096];
	int32_t r;

	if (!w.shaken || w.over)
		return;
	r = tls_write(&w.tls, bytes, n);
	GW_ASSERT(r != 0 && r <= (int32_t)n);
	check_word(r);
}

enum order { PASS, FLIP, DROP, PUT, PEER_WRITES, WE_WRITE, PEER_ENDS, PEER_REKEYS, N_ORDERS };

static void obey(enum order order, uint8_t how_much)
{
	uint8_t bytes[4096];
	uint32_t n = (uint32_t)(1 + how_much) * (how_much % 3 == 0 ? 16 : 1);

	move_peer();
	switch (order) {
	case PASS:
		lend(bytes, take_from_peer(bytes, n));
		break;
	case FLIP:
		n = take_from_peer(bytes, n);
		w.touched = w.touched || n > 0;
		if (n > 0)
			bytes[how_much % n] ^= (uint8_t)(1 << how_much % 8);
		lend(bytes, n);
		break;
	case DROP:
		w.touched = take_from_peer(bytes, n) > 0 || w.touched;
		break;
	case PUT:
		w.touched = true;
		memset(bytes, how_much, sizeof(bytes));
		lend(bytes, 1 + how_much % 64);
		break;
	case PEER_WRITES:
		peer_writes(1 + how_much * 4u);
		break;
	case WE_WRITE:
		we_write(n);
		break;
	case PEER_ENDS:
		SSL_shutdown(w.peer);
		break;
	case PEER_REKEYS:
		(void)SSL_key_update(w.peer, how_much & 1);
		break;
	case N_ORDERS:
		GW_UNREACHABLE();
	}
	move_peer();
}

static void meet(bool we_dial, bool old)
{
	struct tls_peer to = { client, SLICE("fuzz.test"), 0, TLS_PROTOCOL_HTTP1 };
	int r;

	memset(&w, 0, sizeof(w));
	w.peer = SSL_new(peers[we_dial]);
	w.to_peer = BIO_new(BIO_s_mem());
	w.from_peer = BIO_new(BIO_s_mem());
	GW_ASSERT(w.peer && w.to_peer && w.from_peer);
	SSL_set_bio(w.peer, w.to_peer, w.from_peer);
	if (old)
		SSL_set_max_proto_version(w.peer, TLS1_2_VERSION);
	if (we_dial)
		SSL_set_accept_state(w.peer);
	else
		SSL_set_connect_state(w.peer);
	r = we_dial ? tls_dial(&w.tls, &to) : tls_open(&w.tls, server);
	GW_ASSERT(r == 0);
	tls_room(&w.tls, w.room, sizeof(w.room));
	go_on(4096);
}

/* The rest of it, as it is. */
static void let_all_pass(void)
{
	uint8_t bytes[4096];
	uint32_t n = 1;

	for (int i = 0; i < 1000 && n > 0 && !w.over; i++) {
		move_peer();
		n = take_from_peer(bytes, sizeof(bytes));
		lend(bytes, n);
	}
	GW_ASSERT(w.touched || (w.shaken && w.n_read == w.n_written));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len < 1)
		return 0;
	set_up();
	random_state = 1;
	GW_ASSERT(tls_client_create(trust, 1, &client) == 0); /* Without sessions of before. */
	meet(data[0] & 1, data[0] & 2);
	for (size_t i = 1; i + 1 < len && i < 2 * ORDERS_MAX; i += 2)
		obey((enum order)(data[i] % N_ORDERS), data[i + 1]);
	let_all_pass();
	if (!w.over)
		tls_end(&w.tls);
	tls_close(&w.tls);
	tls_client_free(client);
	SSL_free(w.peer);
	free(w.lent);
	return 0;
}
