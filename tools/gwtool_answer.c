/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>

#include "core/base/clock.h"
#include "core/base/jsonw.h"
#include "core/document/encode.h"
#include "core/http/h1_write.h"
#include "tools/gwtool_answer.h"

enum {
	TEXT_LEAST = 4096,
	TEXT_MAX = 256 << 20, /* 32 MiB of msgpack, each byte as an escape of six and more. */
	ERROR_MAX = 32 << 10, /* Three texts of JSONW_CAP, escaped. */
	HEAD_MAX = 512,
};

void gwtool_answer_init(struct gwtool_answer *a)
{
	*a = (struct gwtool_answer){ .status = 500 };
}

void gwtool_answer_fini(struct gwtool_answer *a)
{
	free(a->body);
	a->body = NULL;
}

int gwtool_answer_encode(const struct document_node *value, char **ret_text, size_t *ret_len)
{
	for (size_t size = TEXT_LEAST; size <= TEXT_MAX; size *= 2) {
		char *text = malloc(size);
		struct writer w = writer_make(text, size);

		if (!text)
			return -ENOMEM;
		encode_json(&w, value);
		writer_char(&w, '\n');
		if (!w.overflow) {
			*ret_text = text;
			*ret_len = writer_len(&w);
			return 0;
		}
		free(text);
	}
	return -EFBIG;
}

void gwtool_answer_value(struct gwtool_answer *a, uint16_t status,
			 const struct document_node *value)
{
	gwtool_answer_fini(a);
	a->len = 0;
	a->status = gwtool_answer_encode(value, &a->body, &a->len) < 0 ? 500 : status;
}

static void put_error(struct gwtool_answer *a, uint16_t status, const struct slice texts[3],
		      struct report_place place)
{
	static const struct slice names[] = { SLICE_INIT("code"), SLICE_INIT("path"),
					      SLICE_INIT("message") };
	char *text = malloc(ERROR_MAX);
	struct writer w = writer_make(text, text ? ERROR_MAX : 0);

	writer_char(&w, '{');
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		jsonw_field_string(&w, names[i], texts[i], JSONW_CAP);
	if (place.line) {
		jsonw_field_u64(&w, SLICE("line"), place.line);
		jsonw_field_u64(&w, SLICE("column"), place.column);
	}
	writer_lit(&w, "}\n");
	gwtool_answer_fini(a);
	a->status = status;
	a->body = text;
	a->len = w.overflow ? 0 : writer_len(&w);
}

void gwtool_answer_error(struct gwtool_answer *a, uint16_t status, struct slice code,
			 struct slice path, struct slice message)
{
	put_error(a, status, (struct slice[]){ code, path, message }, (struct report_place){ 0 });
}

void gwtool_answer_report(struct gwtool_answer *a, uint16_t status, const struct report *rep)
{
	const struct report_error *first = &rep->errors[0];

	if (rep->n == 0) {
		gwtool_answer_error(a, 500, SLICE("internal"), SLICE(""), SLICE("out of memory"));
		return;
	}
	put_error(a, status,
		  (struct slice[]){ slice_of(report_code_name(first->code)), slice_of(first->path),
				    slice_of(first->text) },
		  first->place);
}

static void put_extra(struct writer *w, const struct gwtool_answer *a)
{
	char date[CLOCK_HTTP_DATE_LEN];

	clock_http_date(gw_wall_ns(), date);
	writer_field(w, SLICE("date"), slice_make(date, sizeof(date)));
	writer_lit(w, "cache-control: no-store\r\nx-content-type-options: nosniff\r\n");
	if (a->allow)
		writer_field(w, SLICE("allow"), slice_of(a->allow));
}

void gwtool_answer_send(const struct gwtool_answer *a, struct gwtool_link *link, bool head_only)
{
	const struct h1_framing framing = { .length = a->len, .close = true };
	char head[HEAD_MAX], extra[HEAD_MAX / 2];
	struct writer w = writer_make(head, sizeof(head)), more = writer_make(extra, sizeof(extra));
	int r;

	put_extra(&more, a);
	h1_write_reply(&w, a->status, SLICE("application/json"), writer_slice(&more), SLICE(""),
		       &framing);
	GW_ASSERT(!w.overflow && !more.overflow);
	r = gwtool_link_write(link, writer_slice(&w));
	if (r == 0 && !head_only)
		r = gwtool_link_write(link, slice_make(a->body, a->len));
	(void)r; /* There is nobody to be told. */
}
