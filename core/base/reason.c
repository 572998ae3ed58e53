/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/reason.h"

#define KEEP     REASON_KEEP
#define CLOSE    REASON_CLOSE
#define ABORT    REASON_ABORT
#define REQUEST  REASON_SCOPE_REQUEST
#define CONN     REASON_SCOPE_CONN
#define UPSTREAM REASON_SCOPE_UPSTREAM

static const struct row {
	struct slice label;
	struct slice help;
	uint16_t status;
	uint8_t connection;
	uint8_t scope;
} rows[REASON_N] = {
	[REASON_NONE] = { SLICE_INIT("none"), SLICE_INIT("Nothing was refused"), 0, KEEP, 0 },
#define X(id, label_, status_, connection_, scope_, help_)                                         \
	[REASON_##id] = { SLICE_INIT(label_), SLICE_INIT(help_), status_, connection_, scope_ },
#include "core/base/reason.def"
#undef X
};

static const struct row *row_of(enum reason reason)
{
	GW_ASSERT((unsigned)reason < REASON_N);
	return &rows[reason];
}

struct slice reason_label(enum reason reason)
{
	return row_of(reason)->label;
}

struct slice reason_help(enum reason reason)
{
	return row_of(reason)->help;
}

unsigned reason_status(enum reason reason)
{
	return row_of(reason)->status;
}

enum reason_connection reason_connection(enum reason reason)
{
	return row_of(reason)->connection;
}

unsigned reason_scope(enum reason reason)
{
	return row_of(reason)->scope;
}

enum reason reason_find(struct slice label)
{
	unsigned i = 0;

	while (i < REASON_N && !slice_eq(rows[i].label, label))
		i++;
	return i;
}
