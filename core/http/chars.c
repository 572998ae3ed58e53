/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/chars.h"

#define T CHARS_TOKEN
#define Q (CHARS_QUERY | CHARS_TEXT)
#define P (CHARS_PATH | Q)
#define H (CHARS_HOST | CHARS_UNRESERVED)
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
	['-'] = T | P | H,
	['.'] = T | P | H,
	['/'] = P,
	['0' ... '9'] = T | P | H | X,
	[':'] = P,
	[';'] = P,
	['<'] = V,
	['='] = P,
	['>'] = V,
	['?'] = Q,
	['@'] = P,
	['A' ... 'F'] = T | P | H | X,
	['G' ... 'Z'] = T | P | H,
	['['] = P,
	['\\'] = V,
	[']'] = P,
	['^'] = T | V,
	['_'] = T | P | H,
	['`'] = T | V,
	['a' ... 'f'] = T | P | H | X,
	['g' ... 'z'] = T | P | H,
	['{'] = V,
	['|'] = T | V,
	['}'] = V,
	['~'] = T | P | CHARS_UNRESERVED,
	[0x80 ... 0xff] = V,
};
