/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 (FIPS 180-4) of two pieces, again and again. */
#include "core/crypto/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void hex(const uint8_t sha256[DIGEST_SHA256], char text[2 * DIGEST_SHA256 + 1])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < DIGEST_SHA256; i++) {
		text[2 * i] = digits[sha256[i] >> 4];
		text[2 * i + 1] = digits[sha256[i] & 15];
	}
	text[2 * DIGEST_SHA256] = '\0';
}

static void pieces_are_one_text(void **state)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
		  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};
	struct digest *digest;

	(void)state;
	assert_int_equal(digest_create(&digest), 0);
	for (int round = 0; round < 2; round++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
			struct slice whole = slice_of(cases[i].text);

			for (size_t cut = 0; cut <= whole.len; cut++) {
				uint8_t sha256[DIGEST_SHA256];
				char text[2 * DIGEST_SHA256 + 1];

				assert_int_equal(digest_sha256(digest, slice_take(whole, cut),
							       slice_drop(whole, cut), sha256),
						 0);
				hex(sha256, text);
				assert_string_equal(text, cases[i].want);
			}
		}
	digest_free(digest);
	digest_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_one_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
