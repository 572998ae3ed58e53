/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to documents: a text that YAML or JSON takes means the same after going through msgpack,
 * through YAML and, where it can be written there, through JSON.
 */
#include <errno.h>

#include "core/document/decode.h"
#include "core/document/encode.h"
#include "core/document/json.h"
#include "core/document/yaml.h"

enum { ROOM = 8 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char json[ROOM], again[ROOM], other[ROOM];

static struct slice as_json(const struct document *doc, char *room)
{
	struct writer w = writer_make(room, ROOM);

	encode_json(&w, document_root(doc));
	GW_ASSERT(!w.overflow);
	return writer_slice(&w);
}

/* Does 'text', which the reader must take, mean what 'want' says? */
static void check_same(int (*read)(struct slice, struct report *, struct document **),
		       struct slice text, struct slice want)
{
	struct report rep;
	struct document *doc;

	report_init(&rep, NULL);
	GW_ASSERT(read(text, &rep, &doc) == 0);
	GW_ASSERT(slice_eq(as_json(doc, again), want));
	document_free(doc);
}

static void check_document(const struct document *doc)
{
	struct slice want = as_json(doc, json);
	struct pack p = pack_make(other, ROOM);
	struct writer w;

	encode_msgpack(&p, document_root(doc));
	GW_ASSERT(!p.w.overflow);
	check_same(decode_read, writer_slice(&p.w), want);
	w = writer_make(other, ROOM);
	encode_yaml(&w, document_root(doc));
	GW_ASSERT(!w.overflow);
	if (writer_len(&w) <=
	    DOCUMENT_TEXT_MAX) /* Quotes and indentation may have made it longer. */
		check_same(yaml_read, writer_slice(&w), want);
}

static void check_refusal(const struct report *rep, int r)
{
	char line[1024];

	GW_ASSERT(r == -EINVAL);
	GW_ASSERT(rep->n > 0);
	for (uint32_t i = 0; i < rep->n; i++)
		GW_ASSERT(report_format(rep, i, line, sizeof(line)) > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice text = slice_make(data, len);
	struct report rep;
	struct document *doc;
	int r;

	report_init(&rep, "input");
	r = yaml_read(text, &rep, &doc);
	if (r == 0) {
		check_document(doc);
		document_free(doc);
	} else {
		check_refusal(&rep, r);
	}
	report_init(&rep, "input");
	r = json_read(text, &rep, &doc);
	if (r == 0) {
		check_document(doc);
		document_free(doc);
	} else {
		check_refusal(&rep, r);
	}
	return 0;
}
