/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration is one block: the structure, and behind it the arena that its texts and lists
 * lie in. The block is reserved for the largest that a file of its size can need; pages that
 * nothing touches cost nothing.
 *
 * Overrides are turned into small documents, one per path, and bound by the same tables as the
 * file, so that a flag is checked and refused exactly as its key would be.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/document/bind.h"
#include "core/document/emit.h"
#include "core/document/load.h"
#include "core/document/path.h"
#include "core/document/yaml.h"
#include "core/server/config.h"
#include "core/server/config_check.h"
#include "core/server/config_replaced.h"

enum {
	ARENA_LEAST = 64 * 1024,
	ARENA_PER_BYTE = 16, /* "[a,a,...]" makes a slice and a copy of every two bytes. */
	PRINT_SIZE = 4 << 20,
	FILE_MAX = 1 << 20,
};

static const struct report_place nowhere;

/* Where nobody outside can come in unasked. */
static const struct config_override preset_listener = {
	.path = "listeners",
	.text = "127.0.0.1:8080",
	.said_by = "the default listener",
};

struct config_block {
	struct config config; /* First: config_free() goes back from it. */
	struct arena arena;
	_Alignas(16) char bytes[];
};

/* --- Overrides ------------------------------------------------------------------------------ */

/* The row that "timeouts.head" names. It must exist: paths are ours. */
static const struct schema_field *find_row(struct slice path)
{
	const struct schema *schema = &config_schema;
	const struct schema_field *row = NULL;
	struct slice key;
	bool more = true;

	while (more) {
		more = slice_split(path, '.', &key, &path);
		GW_ASSERT(schema);
		row = schema_find_field(schema, key);
		GW_ASSERT(row);
		schema = row->type == SCHEMA_MAP ? row->map : NULL;
	}
	return row;
}

static int add_scalar(struct document *doc, const struct schema_field *row, const char *text)
{
	struct document_node value;

	/* An empty word is no null: it would mean "not said", and something was said. */
	if (row->type == SCHEMA_TEXT || yaml_scalar(slice_of(text), &value) < 0 ||
	    value.kind == DOCUMENT_NULL)
		value = (struct document_node){ .kind = DOCUMENT_TEXT, .text = slice_of(text) };
	return document_leaf(doc, &value);
}

/* [{address: A}, ...] of all the overrides with the path of the first. */
static int add_listeners(struct document *doc, const struct config_override *over, uint32_t n)
{
	const struct schema_field *row = schema_find_field(&config_schema, SLICE("listeners"));
	const struct schema_field *address = schema_find_field(row->element->map, SLICE("address"));
	int r = document_begin(doc, DOCUMENT_LIST, nowhere);

	for (uint32_t i = 0; r == 0 && i < n; i++) {
		if (strcmp(over[i].path, over[0].path) != 0)
			continue;
		r = document_begin(doc, DOCUMENT_MAP, nowhere);
		if (r == 0)
			r = document_key(doc, SLICE("address"), nowhere);
		if (r == 0)
			r = add_scalar(doc, address, over[i].text);
		if (r == 0)
			document_end(doc);
	}
	if (r == 0)
		document_end(doc);
	return r;
}

/* A document that says nothing but the overrides with the path of the first. */
static int build_override(struct document *doc, const struct config_override *over, uint32_t n)
{
	const struct schema_field *row = find_row(slice_of(over->path));
	struct slice path = slice_of(over->path), key;
	uint32_t depth = 0;
	bool more = true;
	int r = 0;

	while (r == 0 && more) {
		more = slice_split(path, '.', &key, &path);
		r = document_begin(doc, DOCUMENT_MAP, nowhere);
		if (r == 0)
			r = document_key(doc, key, nowhere);
		depth++;
	}
	if (r == 0)
		r = row->type == SCHEMA_LIST ? add_listeners(doc, over, n)
					     : add_scalar(doc, row, over->text);
	while (r == 0 && depth--)
		document_end(doc);
	return r;
}

static int apply_override(const struct config_override *over, uint32_t n, struct report *rep,
			  struct config_block *block)
{
	struct document *doc;
	int r = document_create(rep, &doc);

	if (r < 0)
		return r;
	r = build_override(doc, over, n);
	if (r == 0)
		r = bind_change(&config_schema, document_root(doc), &block->arena, rep,
				&block->config);
	document_free(doc);
	return r;
}

static void refuse_upstream(struct report *rep, const char *text, int why)
{
	const struct slice path = { 0 };
	char shown[PATH_SHOWN_MAX];

	(void)path_show(slice_of(text), shown);
	if (why == -EDOM)
		report_add(
			rep, REPORT_VALUE, nowhere, path,
			"%s has a path, a query or a user name; an upstream is a host and a port "
			"only, requests bring their own path",
			shown);
	else
		report_add(
			rep, REPORT_VALUE, nowhere, path,
			"%s is not an upstream; allowed: http://host:port, http://[v6]:port, the "
			"same with https, h2 or h2c, or unix:/path",
			shown);
}

static int add_upstream(const struct config_override *over, struct report *rep,
			struct config_block *block, struct config_upstream *ret_upstream)
{
	struct slice text = arena_dup(&block->arena, slice_of(over->text));
	struct form_url url;
	int r;

	if (!text.ptr && *over->text)
		return -ENOMEM;
	rep->source = over->said_by;
	r = form_url(text, &url);
	if (r < 0) {
		refuse_upstream(rep, over->text, r);
		return -EINVAL;
	}
	*ret_upstream = (struct config_upstream){ .text = text, .url = url };
	return 0;
}

/* They share the load of one service, and a service has one protocol. */
static int refuse_mixture(struct report *rep, const char *text)
{
	char shown[PATH_SHOWN_MAX];

	report_add(rep, REPORT_SEMANTIC, nowhere, (struct slice){ 0 },
		   "%s: upstreams that share the load have one scheme",
		   path_show(slice_of(text), shown));
	return -EINVAL;
}

/* All overrides of "upstreams", from the first one on. */
static int apply_upstreams(const struct config_override *over, uint32_t n, struct report *rep,
			   struct config_block *block)
{
	struct config_upstream *list =
		arena_zalloc(&block->arena, sizeof(*list) * CONFIG_UPSTREAMS_MAX, 16);
	uint32_t n_list = 0;
	int worst = 0;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; worst != -ENOMEM && i < n; i++) {
		if (strcmp(over[i].path, "upstreams") != 0)
			continue;
		if (n_list == CONFIG_UPSTREAMS_MAX) {
			report_add(rep, REPORT_LIMIT, nowhere, (struct slice){ 0 },
				   "at most %d upstreams are allowed", CONFIG_UPSTREAMS_MAX);
			return -EINVAL;
		}

		int r = add_upstream(&over[i], rep, block, &list[n_list]);

		if (r == 0 && list[n_list].url.scheme != list[0].url.scheme)
			r = refuse_mixture(rep, over[i].text);

		n_list += r == 0;
		worst = r < 0 ? r : worst;
	}
	block->config.upstreams = list;
	block->config.n_upstreams = n_list;
	return worst;
}

/* Was the path already dealt with, together with an earlier override? */
static bool is_repeated(const struct config_override *over, uint32_t i)
{
	bool is_list = strcmp(over[i].path, "upstreams") == 0 ||
		       strcmp(over[i].path, "listeners") == 0;

	for (uint32_t j = 0; is_list && j < i; j++)
		if (strcmp(over[j].path, over[i].path) == 0)
			return true;
	return false;
}

static int apply_overrides(const struct config_override *over, uint32_t n, struct report *rep,
			   struct config_block *block)
{
	int worst = 0;

	for (uint32_t i = 0; i < n && worst != -ENOMEM; i++) {
		int r;

		if (is_repeated(over, i))
			continue;
		rep->source = over[i].said_by;
		if (strcmp(over[i].path, "upstreams") == 0)
			r = apply_upstreams(over + i, n - i, rep, block);
		else
			r = apply_override(over + i, n - i, rep, block);
		if (r < 0)
			worst = r;
	}
	return worst;
}

/* Host names are compared in lower case (RFC 9110 4.2.3). */
static void lower_hosts(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_allowed_hosts; i++) {
		struct slice host = config->allowed_hosts[i];
		char *text = (char *)(uintptr_t)host.ptr; /* In our own arena. */

		for (size_t k = 0; k < host.len; k++)
			text[k] = slice_lower(text[k]);
	}
}

/* --- Public --------------------------------------------------------------------------------- */

static int make_block(size_t text_len, struct config_block **ret_block)
{
	size_t size = ARENA_LEAST + ARENA_PER_BYTE * text_len;
	struct config_block *block = calloc(1, sizeof(*block) + size);

	if (!block)
		return -ENOMEM;
	arena_init(&block->arena, block->bytes, size);
	*ret_block = block;
	return 0;
}

/* Binds the file, lays the overrides over it, checks the whole. */
static int fill_block(const struct document *doc, const struct config_override *over,
		      uint32_t n_over, struct report *rep, struct config_block *block)
{
	const char *file = rep->source;
	int r = bind_fill(&config_schema, doc ? document_root(doc) : NULL, &block->arena, rep,
			  &block->config);

	if (r != -ENOMEM) {
		int r_over = apply_overrides(over, n_over, rep, block);

		r = r_over < 0 ? r_over : r;
	}
	rep->source = file;
	block->config.replaced = config_replaced_find(doc ? document_root(doc) : NULL);
	if (r == 0 && block->config.n_listeners == 0)
		r = apply_override(&preset_listener, 1, rep, block);
	if (r == 0) {
		uint32_t n_before = rep->n_all;

		config_check(&block->config, rep);
		lower_hosts(&block->config);
		r = rep->n_all == n_before ? 0 : -EINVAL;
	}
	return r;
}

int config_load(const char *file, const struct config_override *over, uint32_t n_over,
		struct report *rep, struct config **ret_config)
{
	struct document *doc = NULL;
	struct config_block *block = NULL;
	size_t len = 0;
	int r = 0;

	rep->source = file;
	if (file)
		r = document_load(file, FILE_MAX, rep, &doc, &len);
	for (uint32_t i = 0; i < n_over; i++)
		len += strlen(over[i].text);
	if (r == 0)
		r = make_block(len, &block);
	if (r < 0)
		goto free_document;
	GW_ASSERT(block);
	r = fill_block(doc, over, n_over, rep, block);
	if (r == 0)
		*ret_config = &block->config;
	else
		config_free(&block->config);

free_document:
	document_free(doc);
	return r;
}

void config_free(struct config *config)
{
	struct config_block *block = GW_CONTAINER_OF(config, struct config_block, config);

	if (!config)
		return;
	arena_fini(&block->arena);
	free(block);
}

int config_print(const struct config *config, FILE *to)
{
	char *buf = malloc(PRINT_SIZE);
	struct writer w;

	if (!buf)
		return -ENOMEM;
	w = writer_make(buf, PRINT_SIZE);
	emit_yaml(&w, &config_schema, config);
	for (uint32_t i = 0; i < config->n_upstreams; i++) {
		writer_lit(&w, "# --upstream ");
		writer_put(&w, config->upstreams[i].text);
		writer_char(&w, '\n');
	}
	GW_ASSERT(!w.overflow);                   /* Twice what a file of 1 MiB can ask for. */
	(void)fwrite(buf, 1, writer_len(&w), to); /* The caller checks the stream when it closes. */
	free(buf);
	return 0;
}

/* Compares the keys of two structures by their text; 'room' is of 2 * PRINT_SIZE. */
static void compare(const struct schema *schema, const char *now, const char *next,
		    struct slice prefix, char *room, struct report *rep)
{
	for (uint32_t i = 0; i < schema->n_fields; i++) {
		const struct schema_field *field = &schema->fields[i];
		struct writer a = writer_make(room, PRINT_SIZE);
		struct writer b = writer_make(room + PRINT_SIZE, PRINT_SIZE);
		char path_buf[REPORT_PATH_MAX];
		struct writer path = writer_make(path_buf, sizeof(path_buf));

		writer_put(&path, prefix);
		path_put_key(&path, slice_of(field->key));
		if (field->type == SCHEMA_MAP) {
			compare(field->map, now + field->offset, next + field->offset,
				writer_slice(&path), room, rep);
			continue;
		}
		emit_value(&a, field, now);
		emit_value(&b, field, next);
		GW_ASSERT(!a.overflow && !b.overflow);
		if (!(field->flags & SCHEMA_LIVE) && !slice_eq(writer_slice(&a), writer_slice(&b)))
			report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&path),
				   "cannot change without a restart");
	}
}

int config_check_reload(const struct config *now, const struct config *next, struct report *rep)
{
	uint32_t n_before = rep->n_all;
	char *room = malloc(2 * (size_t)PRINT_SIZE);

	if (!room)
		return -ENOMEM;
	compare(&config_schema, (const char *)now, (const char *)next, (struct slice){ 0 }, room,
		rep);
	free(room);
	return rep->n_all == n_before ? 0 : -EINVAL;
}
