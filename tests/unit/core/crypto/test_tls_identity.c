/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a certificate's names, and that no odd one is taken for another. */
#include "core/crypto/tls_identity.c"

#include "tests/unit/core/crypto/certs.c"

enum { HOUR = 3600 };

/* --- Certificates with names of any bytes. --------------------------------------------------- */

struct raw {
	int type; /* GEN_DNS, GEN_URI, GEN_EMAIL. */
	struct slice bytes;
};

static void add_name(GENERAL_NAMES *names, int type, struct slice bytes)
{
	GENERAL_NAME *name = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	assert_true(name && text && ASN1_STRING_set(text, bytes.ptr, (int)bytes.len));
	GENERAL_NAME_set0_value(name, type, text);
	assert_true(sk_GENERAL_NAME_push(names, name) > 0);
}

static X509 *cert_of(GENERAL_NAMES *names)
{
	X509 *x = X509_new();

	assert_non_null(x);
	assert_true(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0));
	GENERAL_NAMES_free(names);
	return x;
}

/* By OpenSSL's configuration: "DNS:a.test"; NULL: without. */
static X509 *cert_with(const char *value)
{
	X509 *x = X509_new();

	assert_non_null(x);
	if (value)
		extend(x, NID_subject_alt_name, value);
	return x;
}

/* Its names; the certificate is freed. */
static struct slice sans_of(X509 *cert)
{
	static char text[TLS_SANS_SIZE];
	struct tls_identity identity = { 0 };
	size_t len;

	assert_true(take_sans(cert, &identity.sans));
	X509_free(cert);
	len = identity.sans.len;
	assert_true(len <= sizeof(text));
	memcpy(text, identity.sans.ptr, len);
	tls_identity_free(&identity);
	assert_int_equal(identity.sans.len, 0);
	tls_identity_free(&identity); /* Once more is no harm. */
	return slice_make(text, len);
}

static void assert_sans(struct slice got, const char *want)
{
	if (!slice_eq(got, slice_of(want)))
		fail_msg("got '%.*s', want '%s'", SLICE_ARG(got), want);
}

/* --- Tests. ---------------------------------------------------------------------------------- */

static void names_are_known_by_their_kind(void **state)
{
	static const struct {
		const char *san, *want;
	} rows[] = {
		{ NULL, "" },
		{ "DNS:a.test", "dns:a.test" },
		{ "DNS:A.Test", "dns:a.test" },
		{ "DNS:*.a.test", "dns:*.a.test" },
		{ "URI:spiffe://Mesh.test/ns/A", "uri:spiffe://Mesh.test/ns/A" },
		{ "email:Alice@A.test", "email:Alice@A.test" },
		{ "email:a@a.test,URI:urn:x:1,DNS:a.test",
		  "email:a@a.test uri:urn:x:1 dns:a.test" },
		{ "IP:192.0.2.1,IP:2001:db8::1", "" },
		{ "IP:192.0.2.1,DNS:a.test,RID:1.2.3.4,otherName:1.2.3.4;UTF8:b.test,DNS:c.test",
		  "dns:a.test dns:c.test" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_sans(sans_of(cert_with(rows[i].san)), rows[i].want);
}

/* The classic attack: an authority signs what it reads to the end, others read half of it. */
static void odd_bytes_make_no_name(void **state)
{
	static const struct raw odd[] = {
		{ GEN_DNS, SLICE_INIT("admin.test\0.evil.test") },
		{ GEN_DNS, SLICE_INIT("admin.test\0") },
		{ GEN_DNS, SLICE_INIT("\0admin.test") },
		{ GEN_URI, SLICE_INIT("spiffe://mesh.test/admin\0/evil") },
		{ GEN_EMAIL, SLICE_INIT("root@admin.test\0@evil.test") },
		{ GEN_URI, SLICE_INIT("spiffe://x dns:admin.test") },
		{ GEN_DNS, SLICE_INIT(" ") },
		{ GEN_DNS, SLICE_INIT("") },
		{ GEN_DNS, SLICE_INIT("a.test\r\nx-user: root") },
		{ GEN_DNS, SLICE_INIT("a.test\t") },
		{ GEN_DNS, SLICE_INIT("a.test\x7f") },
		{ GEN_EMAIL, SLICE_INIT("\xc3\xa4@a.test") },
	};
	GENERAL_NAMES *all = sk_GENERAL_NAME_new_null();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++) {
		GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

		add_name(names, odd[i].type, odd[i].bytes);
		add_name(names, GEN_DNS, SLICE("good.test"));
		add_name(all, odd[i].type, odd[i].bytes);
		assert_sans(sans_of(cert_of(names)), "dns:good.test");
	}
	assert_sans(sans_of(cert_of(all)), "");
}

static void the_first_of_many_are_known(void **state)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	char want[TLS_SANS_SIZE];
	struct writer w = writer_make(want, sizeof(want) - 1);
	int n = 0;

	(void)state;
	for (int i = 0; i < 100; i++) {
		char text[32];

		(void)snprintf(text, sizeof(text), "n%d.test", i);
		add_name(names, GEN_DNS, i % 3 ? slice_of(text) : SLICE("no name"));
		if (i % 3 == 0 || n++ >= TLS_SANS_MAX)
			continue;
		writer_put(&w, n > 1 ? SLICE(" dns:") : SLICE("dns:"));
		writer_put(&w, slice_of(text));
	}
	*w.ptr = '\0';
	assert_sans(sans_of(cert_of(names)), want);
}

/* Never cut; shorter ones behind it still have their place. */
static void what_is_too_long_is_left_out(void **state)
{
	static char text[TLS_SANS_SIZE], want[TLS_SANS_SIZE + 1];
	static const size_t room = TLS_SANS_SIZE - 4; /* Behind "uri:". */

	(void)state;
	memset(text, 'x', sizeof(text));
	for (size_t more = 0; more < 2; more++) {
		GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();

		add_name(names, GEN_URI, slice_make(text, room + more));
		add_name(names, GEN_DNS, SLICE("a.test"));
		(void)snprintf(want, sizeof(want), "uri:%.*s", (int)room, text);
		assert_sans(sans_of(cert_of(names)), more ? "dns:a.test" : want);
	}
	for (size_t more = 0; more < 2; more++) {
		GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
		size_t left = TLS_SANS_SIZE - 4 - 2048 - 5; /* Behind the first, and " uri:". */

		add_name(names, GEN_URI, slice_make(text, 2048));
		add_name(names, GEN_URI, slice_make(text, left + more));
		add_name(names, GEN_DNS, SLICE("a.test"));
		(void)snprintf(want, sizeof(want),
			       more ? "uri:%.2048s dns:a.test" : "uri:%.2048s uri:%.*s", text,
			       (int)left, text);
		assert_sans(sans_of(cert_of(names)), want);
	}
}

static void an_extension_that_cannot_be_read_has_none(void **state)
{
	X509 *twice = cert_with("DNS:a.test");

	(void)state;
	assert_sans(sans_of(cert_with("DER:30:05:82:10:61:2e:62")), "");
	assert_sans(sans_of(cert_with("DER:04:01:61")), "");
	assert_sans(sans_of(cert_with("DER:30:00")), "");
	extend(twice, NID_subject_alt_name, "DNS:b.test");
	assert_sans(sans_of(twice), "");
}

static void a_file_says_who_somebody_would_be(void **state)
{
	static const struct ct_cert member = { "member", "URI:spiffe://a.test/x,DNS:A.test",
					       -2 * HOUR, HOUR, NULL }; /* It has expired. */
	char why[TLS_WHY_MAX];
	struct tls_identity identity;

	(void)state;
	ct_begin();
	ct_write(&member);
	assert_int_equal(tls_identity_read(ct_path("member.pem"), &identity, why), 0);
	assert_memory_equal(identity.subject, "CN=member", identity.subject_len);
	assert_int_equal(identity.subject_len, 9);
	for (size_t i = 0; i < sizeof(identity.sha256); i++)
		assert_true(strchr("0123456789abcdef", identity.sha256[i]));
	assert_sans(identity.sans, "uri:spiffe://a.test/x dns:a.test");
	tls_identity_free(&identity);
	assert_int_equal(tls_identity_read(ct_path("member.key"), &identity, why), -EINVAL);
	assert_non_null(strstr(why, "member.key: holds no certificate"));
	assert_int_equal(tls_identity_read(ct_path("nobody.pem"), &identity, why), -EINVAL);
	assert_non_null(strstr(why, "nobody.pem: No such file"));
	ct_end();
}

/* An error of its own: who would be let in is not to be told that he may not. */
static void no_memory_is_no_answer(void **state)
{
	struct tls_identity identity = { 0 };
	X509 *cert = cert_with("DNS:a.test");
	struct crypto_pool *pool;
	void *taken = NULL, **block;
	uint64_t used;

	(void)state;
	assert_int_equal(crypto_pool_attach(64 * 1024, &pool), 0);
	assert_true(take_sans(cert, &identity.sans));
	tls_identity_free(&identity);
	used = crypto_pool_stats(pool).used;
	assert_true(take_sans(cert, &identity.sans));
	assert_in_range(crypto_pool_stats(pool).used, used + 1,
			used + 64); /* As many as it needs. */
	tls_identity_free(&identity);
	assert_int_equal(crypto_pool_stats(pool).used, used);
	while ((block = OPENSSL_malloc(sizeof(taken)))) {
		*block = taken;
		taken = block;
	}
	assert_false(take_sans(cert, &identity.sans));
	while ((block = taken)) {
		taken = *block;
		OPENSSL_free(block);
	}
	ERR_clear_error();
	crypto_pool_detach();
	X509_free(cert);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_known_by_their_kind),
		cmocka_unit_test(odd_bytes_make_no_name),
		cmocka_unit_test(the_first_of_many_are_known),
		cmocka_unit_test(what_is_too_long_is_left_out),
		cmocka_unit_test(an_extension_that_cannot_be_read_has_none),
		cmocka_unit_test(a_file_says_who_somebody_would_be),
		cmocka_unit_test(no_memory_is_no_answer),
	};

	if (crypto_pool_install() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
