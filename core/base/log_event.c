/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log_event.h"

#include "core/base/clock.h"
#include "core/base/jsonw.h"

#define WINDOW_NS        (10 * GW_NS_PER_S)
#define LINES_PER_WINDOW 10u

static const struct slice level_names[LOG_N_LEVELS] = {
	[LOG_DEBUG] = SLICE_INIT("debug"),
	[LOG_INFO] = SLICE_INIT("info"),
	[LOG_WARN] = SLICE_INIT("warn"),
	[LOG_ERROR] = SLICE_INIT("error"),
};

/* Two threads at the turn of a window may let a line more or less through. */
bool log_event_passes(struct log_site *site, uint64_t now_ns, uint32_t *ret_n_suppressed)
{
	uint64_t window_at = atomic_load_explicit(&site->window_at_ns, memory_order_relaxed);

	if (now_ns - window_at >= WINDOW_NS) {
		atomic_store_explicit(&site->window_at_ns, now_ns, memory_order_relaxed);
		atomic_store_explicit(&site->n_in_window, 0, memory_order_relaxed);
	}
	if (!site->always && atomic_fetch_add_explicit(&site->n_in_window, 1,
						       memory_order_relaxed) >= LINES_PER_WINDOW) {
		atomic_fetch_add_explicit(&site->n_suppressed, 1, memory_order_relaxed);
		return false;
	}
	*ret_n_suppressed = atomic_exchange_explicit(&site->n_suppressed, 0, memory_order_relaxed);
	return true;
}

static void fill_text(struct log_event_record *record, struct log_event_value *value,
		      struct slice text)
{
	text = slice_take(text, sizeof(record->text) - record->text_len);
	value->text_at = record->text_len;
	value->text_len = (uint16_t)text.len;
	if (text.len)
		memcpy(record->text + record->text_len, text.ptr, text.len);
	record->text_len = (uint16_t)(record->text_len + text.len);
}

void log_event_fill(struct log_event_record *record, const struct log_field *fields,
		    uint32_t n_fields)
{
	GW_ASSERT(n_fields <= LOG_MAX_FIELDS);
	record->n_values = (uint16_t)n_fields;
	record->text_len = 0;
	for (uint32_t i = 0; i < n_fields; i++) {
		struct log_event_value *value = &record->values[i];

		*value = (struct log_event_value){
			.key = fields[i].key,
			.number = fields[i].number,
			.type = (uint16_t)fields[i].type,
		};
		fill_text(record, value, fields[i].text);
	}
}

static void put_errno(struct writer *out, struct slice key, int64_t r)
{
	const char *name = r <= 0 && r >= -4095 ? strerrorname_np((int)-r) : NULL;

	if (name)
		jsonw_field_string(out, key, slice_of(name), JSONW_CAP);
	else
		jsonw_field_i64(out, key, r);
}

static void put_value(struct writer *out, const struct log_event_record *record,
		      const struct log_event_value *value)
{
	struct slice key = slice_of(value->key);

	switch ((enum log_value_type)value->type) {
	case LOG_VALUE_U64:
		jsonw_field_u64(out, key, value->number);
		break;
	case LOG_VALUE_I64:
		jsonw_field_i64(out, key, (int64_t)value->number);
		break;
	case LOG_VALUE_BOOL:
		jsonw_field_bool(out, key, value->number);
		break;
	case LOG_VALUE_STR:
		jsonw_field_string(out, key,
				   slice_make(record->text + value->text_at, value->text_len),
				   JSONW_CAP);
		break;
	case LOG_VALUE_ERRNO:
		put_errno(out, key, (int64_t)value->number);
		break;
	}
}

void log_event_format(const void *record, struct writer *out)
{
	const struct log_event_record *event = record;
	char ts[CLOCK_RFC3339_LEN];

	clock_rfc3339(event->wall_ns, ts);
	writer_char(out, '{');
	jsonw_field_string(out, SLICE("ts"), slice_make(ts, sizeof(ts)), sizeof(ts));
	jsonw_field_string(out, SLICE("level"), level_names[event->site->level], JSONW_CAP);
	jsonw_field_string(out, SLICE("event"), slice_of(event->site->event), JSONW_CAP);
	if (event->worker != UINT32_MAX)
		jsonw_field_u64(out, SLICE("worker"), event->worker);
	for (uint32_t i = 0; i < event->n_values; i++)
		put_value(out, event, &event->values[i]);
	if (event->n_suppressed)
		jsonw_field_u64(out, SLICE("suppressed"), event->n_suppressed);
	writer_lit(out, "}\n");
}
