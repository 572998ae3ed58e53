/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Documents to the configuration: what is taken is printed as a text that is taken, and is then
 * printed the same; what is refused says why.
 */
#include <errno.h>

#include "core/base/arena.h"
#include "core/document/bind.h"
#include "core/document/emit.h"
#include "core/document/yaml.h"

#include "core/server/config_schema.c"

enum { ROOM = 16 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Binds a text into *config; the arena holds what it points to. */
static int bind(struct slice text, char *room, struct config *config)
{
	struct arena arena;
	struct report rep;
	struct document *doc;
	int r;

	report_init(&rep, NULL);
	r = yaml_read(text, &rep, &doc);
	if (r < 0)
		return r;
	arena_init(&arena, room, ROOM);
	r = bind_fill(&config_schema, document_root(doc), &arena, &rep, config);
	GW_ASSERT(r == 0 || r == -EINVAL);
	GW_ASSERT((r == 0) == report_is_clean(&rep));
	document_free(doc);
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static char rooms[2][ROOM], texts[2][ROOM];
	struct writer first = writer_make(texts[0], ROOM), second = writer_make(texts[1], ROOM);
	struct config config;
	struct arena lift;

	if (bind(slice_make(data, len), rooms[0], &config) == 0) {
		emit_yaml(&first, &config_schema, &config);
		GW_ASSERT(!first.overflow);
		if (writer_len(&first) <= DOCUMENT_TEXT_MAX) {
			GW_ASSERT(bind(writer_slice(&first), rooms[1], &config) == 0);
			emit_yaml(&second, &config_schema, &config);
			GW_ASSERT(slice_eq(writer_slice(&first), writer_slice(&second)));
		}
	}
	for (size_t i = 0; i < 2; i++) { /* The rooms are used again: lift the poison. */
		arena_init(&lift, rooms[i], ROOM);
		arena_fini(&lift);
	}
	return 0;
}
