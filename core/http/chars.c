/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/chars.h"

#define T CHARS_TOKEN
#define Q (CHARS_TARGET | CHARS_TEXT)
#define P (CHARS_SEGMENT | Q)
#define U CHARS_UNRESERVED
#define X CHARS_HEX
#define V CHARS_TEXT

/*
 * Brackets are let through in targets although RFC 3986 wants them escaped:
 * browsers do not escape them, and they mean nothing to anyone on the way.
 */
const uint8_t chars_class[256] = {
	['\t'] = V,
	[' '] = V,
	['!'] = T | P,
	['"'] = V,
	['#'] = T | V,
	['$'] = T | P,
	['%'] = T | Q,
	['&'] = T | P,
	['\''] = T | P,
	['('] = P,
	[')'] = P,
	['*'] = T | P,
	['+'] = T | P,
	[','] = P,
	['-'] = T | P | U,
	['.'] = T | P | U,
	['/'] = Q,
	['0' ... '9'] = T | P | U | X,
	[':'] = P,
	[';'] = P,
	['<'] = V,
	['='] = P,
	['>'] = V,
	['?'] = Q,
	['@'] = P,
	['A' ... 'F'] = T | P | U | X,
	['G' ... 'Z'] = T | P | U,
	['['] = P,
	['\\'] = V,
	[']'] = P,
	['^'] = T | V,
	['_'] = T | P | U,
	['`'] = T | V,
	['a' ... 'f'] = T | P | U | X,
	['g' ... 'z'] = T | P | U,
	['{'] = V,
	['|'] = T | V,
	['}'] = V,
	['~'] = T | P | U,
	[0x80 ... 0xff] = V,
};
