/* SPDX-License-Identifier: Apache-2.0 */
#include <msgpack.h>

#include "core/document/pack.h"

static int put(void *data, const char *buf, size_t len)
{
	struct pack *p = data;

	writer_bytes(&p->w, buf, len);
	return 0; /* The overflow mark tells. */
}

static msgpack_packer packer_of(struct pack *p)
{
	msgpack_packer packer;

	msgpack_packer_init(&packer, p, put);
	return packer;
}

void pack_map(struct pack *p, uint32_t n_entries)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_map(&packer, n_entries);
}

void pack_list(struct pack *p, uint32_t n)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_array(&packer, n);
}

void pack_text(struct pack *p, struct slice text)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_str(&packer, text.len);
	(void)msgpack_pack_str_body(&packer, text.ptr, text.len);
}

void pack_u64(struct pack *p, uint64_t value)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_uint64(&packer, value);
}

void pack_i64(struct pack *p, int64_t value)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_int64(&packer, value);
}

void pack_double(struct pack *p, double value)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_double(&packer, value);
}

void pack_bool(struct pack *p, bool value)
{
	msgpack_packer packer = packer_of(p);

	if (value)
		(void)msgpack_pack_true(&packer);
	else
		(void)msgpack_pack_false(&packer);
}

void pack_null(struct pack *p)
{
	msgpack_packer packer = packer_of(p);

	(void)msgpack_pack_nil(&packer);
}

void pack_key(struct pack *p, const char *key)
{
	pack_text(p, slice_of(key));
}

void pack_entry_text(struct pack *p, const char *key, struct slice text)
{
	pack_key(p, key);
	pack_text(p, text);
}

void pack_entry_words(struct pack *p, const char *key, struct slice text)
{
	uint32_t n = text.len > 0;
	struct slice word;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == ' ';
	pack_key(p, key);
	pack_list(p, n);
	while (n-- > 0) {
		(void)slice_split(text, ' ', &word, &text);
		pack_text(p, word);
	}
}

void pack_entry_u64(struct pack *p, const char *key, uint64_t value)
{
	pack_key(p, key);
	pack_u64(p, value);
}

void pack_entry_double(struct pack *p, const char *key, double value)
{
	pack_key(p, key);
	pack_double(p, value);
}

void pack_entry_bool(struct pack *p, const char *key, bool value)
{
	pack_key(p, key);
	pack_bool(p, value);
}
