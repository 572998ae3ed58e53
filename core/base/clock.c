/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/clock.h"

#include "core/base/writer.h"

#define SECONDS_PER_DAY 86400u
#define DAYS_PER_ERA    146097u       /* 400 Gregorian years. */
#define SECOND_MAX      253402300799u /* 9999-12-31T23:59:59Z */

/* UTC, Gregorian. */
struct civil {
	unsigned year, month, day; /* month and day from 1. */
	unsigned weekday;          /* 0 is Sunday. */
	unsigned hour, minute, second;
};

static uint64_t read_ns(clockid_t id)
{
	struct timespec ts;

	GW_ASSERT(clock_gettime(id, &ts) == 0);
	return (uint64_t)ts.tv_sec * GW_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t gw_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

uint64_t gw_wall_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

uint64_t gw_thread_cpu_ns(void)
{
	return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

/*
 * Counting from 1 March 0000 puts the leap day at the end of the year, so that
 * the month follows from the day of the year by one line: 153 days per 5 months.
 */
static void civil_date(uint64_t days, struct civil *c)
{
	uint64_t since = days + 719468; /* From 0000-03-01 to 1970-01-01. */
	unsigned era = (unsigned)(since / DAYS_PER_ERA);
	unsigned doe = (unsigned)(since % DAYS_PER_ERA);
	unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	unsigned shifted = (5 * doy + 2) / 153;

	c->day = doy - (153 * shifted + 2) / 5 + 1;
	c->month = shifted < 10 ? shifted + 3 : shifted - 9;
	c->year = 400 * era + yoe + (c->month <= 2);
	c->weekday = (unsigned)((days + 4) % 7); /* 1970-01-01 was a Thursday. */
}

static struct civil civil_of(uint64_t seconds)
{
	struct civil c = { 0 };
	unsigned rest;

	if (seconds > SECOND_MAX)
		seconds = SECOND_MAX;
	rest = (unsigned)(seconds % SECONDS_PER_DAY);
	c.hour = rest / 3600;
	c.minute = rest / 60 % 60;
	c.second = rest % 60;
	civil_date(seconds / SECONDS_PER_DAY, &c);
	return c;
}

static void put_time(struct writer *w, const struct civil *c)
{
	writer_padded(w, c->hour, 2);
	writer_char(w, ':');
	writer_padded(w, c->minute, 2);
	writer_char(w, ':');
	writer_padded(w, c->second, 2);
}

void clock_http_date(uint64_t wall_ns, char ret_text[CLOCK_HTTP_DATE_LEN])
{
	struct civil c = civil_of(wall_ns / GW_NS_PER_S);
	struct writer w = writer_make(ret_text, CLOCK_HTTP_DATE_LEN);

	writer_bytes(&w, &"SunMonTueWedThuFriSat"[3 * c.weekday], 3);
	writer_lit(&w, ", ");
	writer_padded(&w, c.day, 2);
	writer_char(&w, ' ');
	writer_bytes(&w, &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * (c.month - 1)], 3);
	writer_char(&w, ' ');
	writer_padded(&w, c.year, 4);
	writer_char(&w, ' ');
	put_time(&w, &c);
	writer_lit(&w, " GMT");
	GW_ASSERT(!w.overflow && w.ptr == w.end);
}

void clock_rfc3339(uint64_t wall_ns, char ret_text[CLOCK_RFC3339_LEN])
{
	struct civil c = civil_of(wall_ns / GW_NS_PER_S);
	struct writer w = writer_make(ret_text, CLOCK_RFC3339_LEN);

	writer_padded(&w, c.year, 4);
	writer_char(&w, '-');
	writer_padded(&w, c.month, 2);
	writer_char(&w, '-');
	writer_padded(&w, c.day, 2);
	writer_char(&w, 'T');
	put_time(&w, &c);
	writer_char(&w, '.');
	writer_padded(&w, wall_ns / GW_NS_PER_US % 1000000, 6);
	writer_char(&w, 'Z');
	GW_ASSERT(!w.overflow && w.ptr == w.end);
}

struct slice clock_date_at(struct clock_date *cache, uint64_t wall_ns)
{
	uint64_t second = wall_ns / GW_NS_PER_S;

	if (cache->second != second || cache->text[0] == '\0') {
		clock_http_date(wall_ns, cache->text);
		cache->second = second;
	}
	return slice_make(cache->text, CLOCK_HTTP_DATE_LEN);
}
