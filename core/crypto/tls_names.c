/* SPDX-License-Identifier: Apache-2.0 */
#include "core/crypto/tls_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/crypto/tls_names.h"

static bool is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* In lower case to text[]; its length, or 0 when it is no name. */
static uint8_t normalise(struct slice name, char text[TLS_NAME_MAX + 1])
{
	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	if (name.len == 0 || name.len > TLS_NAME_MAX)
		return 0;
	for (size_t i = 0; i < name.len; i++) {
		text[i] = slice_lower(name.ptr[i]);
		if (!is_name_byte(text[i]))
			return 0;
	}
	text[name.len] = '\0';
	return (uint8_t)name.len;
}

static int compare(const void *a, const void *b)
{
	const struct tls_name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	if (order == 0)
		order = y->chosen - x->chosen;
	return order ? order : x->entry < y->entry ? -1 : x->entry > y->entry;
}

static int add(struct tls_names *names, struct slice text, struct tls_name name)
{
	struct tls_name *list;

	if (slice_starts_with(text, SLICE("*.")))
		text = slice_drop(text, 1);
	name.len = normalise(text, name.text);
	if (name.len == 0)
		return -EILSEQ;
	list = realloc(names->list, (names->n + 1) * sizeof(*list));
	if (!list)
		return -ENOMEM;
	names->list = list;
	list[names->n++] = name;
	return 0;
}

static struct slice slice_of_asn1(const ASN1_STRING *string)
{
	return slice_make((const char *)ASN1_STRING_get0_data(string),
			  (size_t)ASN1_STRING_length(string));
}

static int add_all(struct tls_names *names, const GENERAL_NAMES *alternatives, uint32_t entry)
{
	int r = 0;

	for (int i = 0; r == 0 && i < sk_GENERAL_NAME_num(alternatives); i++) {
		const GENERAL_NAME *one = sk_GENERAL_NAME_value(alternatives, i);

		if (one->type == GEN_DNS)
			r = add(names, slice_of_asn1(one->d.dNSName),
				(struct tls_name){ .entry = entry });
	}
	return r;
}

static int add_common_name(struct tls_names *names, const X509 *cert, uint32_t entry)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	if (at < 0)
		return 0;
	return add(names, slice_of_asn1(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at))),
		   (struct tls_name){ .entry = entry });
}

int tls_names_add_cert(struct tls_names *names, X509 *cert, uint32_t entry)
{
	GENERAL_NAMES *alternatives = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	uint32_t before = names->n;
	int r = add_all(names, alternatives, entry);

	GENERAL_NAMES_free(alternatives);
	if (r == 0 && names->n == before) {
		r = add_common_name(names, cert, entry);
		r = r == -EILSEQ ? 0 : r; /* It may be a person's. */
	}
	return r;
}

void tls_names_sort(struct tls_names *names)
{
	if (names->n > 0)
		qsort(names->list, names->n, sizeof(*names->list), compare);
}

void tls_names_free(struct tls_names *names)
{
	free(names->list);
	*names = (struct tls_names){ 0 };
}

/* Where those with this very text begin, or would. */
static uint32_t place_of(const struct tls_names *names, const char *text)
{
	uint32_t low = 0, high = names->n;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (strcmp(names->list[middle].text, text) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct tls_names *names, uint32_t place, const char *text)
{
	return place < names->n && strcmp(names->list[place].text, text) == 0;
}

/* The first of those with this very text. */
static uint32_t find(const struct tls_names *names, const char *text)
{
	uint32_t place = place_of(names, text);

	return is_at(names, place, text) ? names->list[place].entry : TLS_NO_ENTRY;
}

static bool has(const struct tls_names *names, uint32_t entry, const char *text)
{
	for (uint32_t i = place_of(names, text); is_at(names, i, text); i++)
		if (names->list[i].entry == entry)
			return true;
	return false;
}

bool tls_names_cover(const struct tls_names *names, uint32_t entry, struct slice name)
{
	char text[TLS_NAME_MAX + 1];
	const char *rest;

	if (normalise(name, text) == 0)
		return false;
	rest = strchr(text, '.');
	return has(names, entry, text) || (rest && rest > text && has(names, entry, rest));
}

uint32_t tls_names_find(const struct tls_names *names, struct slice name)
{
	char text[TLS_NAME_MAX + 1];
	const char *rest;
	uint32_t entry;

	if (normalise(name, text) == 0)
		return TLS_NO_ENTRY;
	entry = find(names, text);
	rest = strchr(text, '.');
	if (entry == TLS_NO_ENTRY && rest && rest > text)
		entry = find(names, rest);
	return entry;
}

/* --- Those that an entry is given. ----------------------------------------------------------- */

/* A pattern is covered by the same pattern only (RFC 6125 6.4.3). */
static bool is_covered(const struct tls_names *of_cert, struct slice name, uint32_t entry)
{
	char text[TLS_NAME_MAX + 1];

	if (!slice_starts_with(name, SLICE("*.")))
		return tls_names_cover(of_cert, entry, name);
	return normalise(slice_drop(name, 1), text) > 0 && has(of_cert, entry, text);
}

int tls_names_add_chosen(struct tls_names *names, const struct tls_names *of_cert,
			 struct slice name, uint32_t entry, uint32_t place)
{
	if (!is_covered(of_cert, name, entry))
		return -EDOM;
	return add(names, name,
		   (struct tls_name){ .entry = entry, .place = place, .chosen = true });
}
