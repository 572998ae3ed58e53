/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "core/base/jsonw.h"
#include "core/document/encode.h"
#include "core/document/yaml.h"

static bool is_collection(const struct document_node *node)
{
	return node->kind == DOCUMENT_LIST || node->kind == DOCUMENT_MAP;
}

/* The collections around the current node, outermost first. */
struct trail {
	uint32_t n;
	const struct document_node *nodes[DOCUMENT_DEPTH_MAX];
};

static void push(struct trail *trail, const struct document_node *node)
{
	GW_ASSERT(trail->n < DOCUMENT_DEPTH_MAX);
	trail->nodes[trail->n++] = node;
}

static void pack_leaf(struct pack *p, const struct document_node *node)
{
	switch (node->kind) {
	case DOCUMENT_NULL:
		pack_null(p);
		break;
	case DOCUMENT_BOOL:
		pack_bool(p, node->boolean);
		break;
	case DOCUMENT_INT:
		if (node->negative)
			pack_i64(p, (int64_t)(0 - node->number));
		else
			pack_u64(p, node->number);
		break;
	case DOCUMENT_FLOAT:
		pack_double(p, node->real);
		break;
	case DOCUMENT_TEXT:
		pack_text(p, node->text);
		break;
	case DOCUMENT_LIST:
		pack_list(p, node->n);
		break;
	case DOCUMENT_MAP:
		pack_map(p, node->n);
		break;
	case DOCUMENT_N_KINDS:
		GW_UNREACHABLE();
	}
}

void encode_msgpack(struct pack *p, const struct document_node *root)
{
	const struct document_node *node = root;
	struct trail trail = { 0 };

	while (node) {
		if (trail.n && trail.nodes[trail.n - 1]->kind == DOCUMENT_MAP)
			pack_text(p, node->key);
		pack_leaf(p, node);
		if (is_collection(node) && node->first) {
			push(&trail, node);
			node = node->first;
			continue;
		}
		while (node != root && !node->next)
			node = trail.nodes[--trail.n];
		node = node == root ? NULL : node->next;
	}
}

/* A double that reads back the same, and as a number with a fraction. */
static void put_real(struct writer *w, double real)
{
	char buf[40];
	int len = 0;

	for (int digits = 15; digits <= 17; digits++) {
		len = snprintf(buf, sizeof(buf), "%.*g", digits, real);
		if (strtod(buf, NULL) == real)
			break;
	}
	GW_ASSERT(len > 0 && (size_t)len < sizeof(buf));
	writer_bytes(w, buf, (size_t)len);
	if (!strpbrk(buf, ".en"))
		writer_lit(w, ".0");
}

static void put_leaf(struct writer *w, const struct document_node *node, bool as_yaml)
{
	switch (node->kind) {
	case DOCUMENT_NULL:
		writer_lit(w, "null");
		break;
	case DOCUMENT_BOOL:
		writer_put(w, node->boolean ? SLICE("true") : SLICE("false"));
		break;
	case DOCUMENT_INT:
		if (node->negative)
			writer_char(w, '-');
		writer_u64(w, node->number);
		break;
	case DOCUMENT_FLOAT:
		put_real(w, node->real);
		break;
	case DOCUMENT_TEXT:
		if (as_yaml)
			encode_yaml_text(w, node->text);
		else
			jsonw_string(w, node->text, SIZE_MAX);
		break;
	case DOCUMENT_LIST:
		writer_lit(w, "[]");
		break;
	case DOCUMENT_MAP:
		writer_lit(w, "{}");
		break;
	case DOCUMENT_N_KINDS:
		GW_UNREACHABLE();
	}
}

void encode_json(struct writer *w, const struct document_node *root)
{
	const struct document_node *node = root;
	struct trail trail = { 0 };

	while (node) {
		if (trail.n && trail.nodes[trail.n - 1]->kind == DOCUMENT_MAP) {
			jsonw_string(w, node->key, SIZE_MAX);
			writer_char(w, ':');
		}
		if (is_collection(node) && node->first) {
			writer_char(w, node->kind == DOCUMENT_MAP ? '{' : '[');
			push(&trail, node);
			node = node->first;
			continue;
		}
		put_leaf(w, node, false);
		while (node != root && !node->next) {
			node = trail.nodes[--trail.n];
			writer_char(w, node->kind == DOCUMENT_MAP ? '}' : ']');
		}
		if (node != root)
			writer_char(w, ',');
		node = node == root ? NULL : node->next;
	}
}

/* In double quotes: JSON's escapes are YAML's, but YAML also reads some of what JSON lets stand. */
static void put_quoted(struct writer *w, struct slice text)
{
	static const struct {
		struct slice utf8, escape;
	} special[] = {
		{ SLICE_INIT("\xe2\x80\xa8"), SLICE_INIT("\\u2028") }, /* Line ends. */
		{ SLICE_INIT("\xe2\x80\xa9"), SLICE_INIT("\\u2029") },
		{ SLICE_INIT("\xef\xbb\xbf"), SLICE_INIT("\\ufeff") }, /* Not printable. */
		{ SLICE_INIT("\xef\xbf\xbe"), SLICE_INIT("\\ufffe") },
		{ SLICE_INIT("\xef\xbf\xbf"), SLICE_INIT("\\uffff") },
	};

	writer_char(w, '"');
	while (text.len) {
		unsigned char c = (unsigned char)text.ptr[0];
		size_t n = 1;

		for (size_t i = 0; c >= 0xe2 && i < ARRAY_SIZE(special); i++) {
			if (slice_starts_with(text, special[i].utf8)) {
				writer_put(w, special[i].escape);
				n = 3;
				break;
			}
		}
		if (n == 1 && c < 0x20) {
			writer_lit(w, "\\x");
			writer_char(w, "0123456789abcdef"[c >> 4]);
			writer_char(w, "0123456789abcdef"[c & 15]);
		} else if (n == 1) {
			if (c == '"' || c == '\\')
				writer_char(w, '\\');
			writer_char(w, text.ptr[0]);
		}
		text = slice_drop(text, n);
	}
	writer_char(w, '"');
}

void encode_yaml_text(struct writer *w, struct slice text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_./-";
	struct document_node value;
	bool is_plain = text.len > 0 && text.ptr[0] != '-' && text.ptr[0] != '.' &&
			yaml_scalar(text, &value) == 0 && value.kind == DOCUMENT_TEXT;

	for (size_t i = 0; is_plain && i < text.len; i++)
		is_plain = text.ptr[i] && strchr(plain, text.ptr[i]);
	if (is_plain)
		writer_put(w, text);
	else
		put_quoted(w, text);
}

static void indent(struct writer *w, const struct trail *trail)
{
	for (uint32_t i = 1; i < trail->n; i++)
		writer_lit(w, "  ");
}

/* "- " or "key: " in front of a node. The first child of a list's element stands in its line. */
static void put_prefix(struct writer *w, const struct trail *trail,
		       const struct document_node *node, bool in_line)
{
	const struct document_node *parent = trail->nodes[trail->n - 1];

	if (!in_line)
		indent(w, trail);
	if (parent->kind == DOCUMENT_LIST) {
		writer_lit(w, "- ");
		return;
	}
	encode_yaml_text(w, node->key);
	writer_char(w, ':');
	if (!is_collection(node) || !node->first)
		writer_char(w, ' ');
}

void encode_yaml(struct writer *w, const struct document_node *root)
{
	const struct document_node *node = root;
	struct trail trail = { 0 };
	bool in_line = true;

	while (node) {
		bool in_list = trail.n && trail.nodes[trail.n - 1]->kind == DOCUMENT_LIST;

		if (trail.n)
			put_prefix(w, &trail, node, in_line);
		if (is_collection(node) && node->first) {
			in_line = in_list || node == root;
			if (!in_line)
				writer_char(w, '\n');
			push(&trail, node);
			node = node->first;
			continue;
		}
		put_leaf(w, node, true);
		writer_char(w, '\n');
		in_line = false;
		while (node != root && !node->next)
			node = trail.nodes[--trail.n];
		node = node == root ? NULL : node->next;
	}
}
