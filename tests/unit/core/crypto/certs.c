/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/core/crypto/crypto_test.h"

#include <dirent.h>

#include "core/crypto/tls_server.h"

char ct_folder[64];

const char *ct_path(const char *name)
{
	static char paths[32][160];
	static unsigned int turn;
	char *path = paths[turn++ % 32];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", ct_folder, name);
	return path;
}

void ct_begin(void)
{
	(void)snprintf(ct_folder, sizeof(ct_folder), "/tmp/crypto-test-XXXXXX");
	assert_non_null(mkdtemp(ct_folder));
}

void ct_end(void)
{
	DIR *dir = opendir(ct_folder);
	struct dirent *entry;

	assert_non_null(dir);
	while ((entry = readdir(dir)))
		(void)unlink(ct_path(entry->d_name)); /* Neither "." nor "..". */
	closedir(dir);
	assert_int_equal(rmdir(ct_folder), 0);
}

EVP_PKEY *ct_key(void)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	assert_non_null(key);
	return key;
}

static EVP_PKEY *stored_key(const char *name)
{
	char file[80];
	FILE *in;
	EVP_PKEY *key;

	(void)snprintf(file, sizeof(file), "%s.key", name);
	in = fopen(ct_path(file), "re");
	assert_non_null(in);
	key = PEM_read_PrivateKey(in, NULL, NULL, NULL);
	(void)fclose(in);
	assert_non_null(key);
	return key;
}

static void name_it(X509_NAME *name, const char *text)
{
	assert_true(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
					       (const unsigned char *)text, -1, -1, 0));
}

static void extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(ext);
	assert_true(X509_add_ext(x, ext, -1));
	X509_EXTENSION_free(ext);
}

X509 *ct_x509(const struct ct_cert *cert, EVP_PKEY *key)
{
	X509 *x = X509_new();
	EVP_PKEY *signer = cert->issuer ? stored_key(cert->issuer->name) : key;
	static long serial;

	assert_non_null(x);
	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), cert->from_s);
	X509_gmtime_adj(X509_getm_notAfter(x), cert->from_s + cert->for_s);
	name_it(X509_get_subject_name(x), cert->name);
	name_it(X509_get_issuer_name(x), cert->issuer ? cert->issuer->name : cert->name);
	X509_set_pubkey(x, key);
	if (cert->san)
		extend(x, NID_subject_alt_name, cert->san);
	if (!cert->issuer)
		extend(x, NID_basic_constraints, "critical,CA:TRUE");
	assert_true(X509_sign(x, signer, EVP_sha256()) > 0);
	if (cert->issuer)
		EVP_PKEY_free(signer);
	return x;
}

void ct_write(const struct ct_cert *cert)
{
	EVP_PKEY *key = ct_key();
	X509 *x = ct_x509(cert, key);
	char file[80];
	FILE *out;

	(void)snprintf(file, sizeof(file), "%s.pem", cert->name);
	out = fopen(ct_path(file), "we");
	assert_non_null(out);
	assert_true(PEM_write_X509(out, x));
	assert_int_equal(fclose(out), 0);
	(void)snprintf(file, sizeof(file), "%s.key", cert->name);
	out = fopen(ct_path(file), "we");
	assert_non_null(out);
	assert_true(PEM_write_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL));
	assert_int_equal(fclose(out), 0);
	X509_free(x);
	EVP_PKEY_free(key);
}

struct tls_credentials *ct_credentials(const struct ct_cert *cert)
{
	char files[2][80];
	struct tls_credentials *credentials;
	struct tls_refusal refusal;
	struct tls_entry entry = { 0 };

	ct_write(cert);
	(void)snprintf(files[0], sizeof(files[0]), "%s.pem", cert->name);
	(void)snprintf(files[1], sizeof(files[1]), "%s.key", cert->name);
	entry.pair = (struct tls_pair){ ct_path(files[0]), ct_path(files[1]) };
	assert_int_equal(tls_credentials_read(&(struct tls_credentials_options){ .entries = &entry,
										 .n_entries = 1,
										 .http1 = true },
					      &refusal, &credentials),
			 0);
	return credentials;
}
