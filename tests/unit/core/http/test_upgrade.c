/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/upgrade.c"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "tests/unit/core/http/fields.h"

#define C  "Connection: upgrade\n"
#define WS "Upgrade: websocket\n"

#define NONE      HTTP_UPGRADE_NONE
#define WEBSOCKET HTTP_UPGRADE_WEBSOCKET

static const struct {
	const char *lines;
	uint8_t minor, method, body;
	bool close;
	enum http_upgrade asked;
} requests[] = {
	{ C WS, 1, HTTP_GET, HTTP_BODY_NONE, false, WEBSOCKET },
	{ "CONNECTION: keep-alive, UPGRADE\nupgrade: WebSocket\n", 1, 0, 0, false, WEBSOCKET },
	{ "Connection: x\n" C WS, 1, 0, 0, false, WEBSOCKET },
	{ C "Upgrade: h2c, websocket\n", 1, 0, 0, false, WEBSOCKET },
	{ C "Upgrade: h2c\n" WS, 1, 0, 0, false, WEBSOCKET },
	{ C "Upgrade: , ,websocket,\n", 1, 0, 0, false, WEBSOCKET },
	{ C "Upgrade: h2c\nHTTP2-Settings: AAMAAABk\n", 1, 0, 0, false, NONE },
	{ C "Upgrade: websockets\n", 1, 0, 0, false, NONE },
	{ C "Upgrade: websocket/13\n", 1, 0, 0, false, NONE },
	{ C "Upgrade: \"websocket\"\n", 1, 0, 0, false, NONE },
	{ C "Upgrade: web socket\n", 1, 0, 0, false, NONE },
	{ C "Upgrade:\n", 1, 0, 0, false, NONE },
	{ WS, 1, 0, 0, false, NONE },
	{ C, 1, 0, 0, false, NONE },
	{ "Connection: upgrades\n" WS, 1, 0, 0, false, NONE },
	{ "Connection: upgrade websocket\n" WS, 1, 0, 0, false, NONE },
	{ C WS, 0, 0, 0, false, NONE },
	{ C WS, 1, 0, 0, true, NONE },
	{ C WS, 1, HTTP_POST, 0, false, NONE },
	{ C WS, 1, HTTP_HEAD, 0, false, NONE },
	{ C WS, 1, HTTP_OTHER, 0, false, NONE },
	{ C WS, 1, HTTP_GET, HTTP_BODY_LENGTH, false, NONE },
	{ C WS, 1, HTTP_GET, HTTP_BODY_CHUNKED, false, NONE },
};

static void requests_ask_for_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		struct http_head head = { .minor = requests[i].minor,
					  .method = requests[i].method,
					  .body = requests[i].body,
					  .close = requests[i].close };

		fields_fill(&head, requests[i].lines);
		if (upgrade_asked(&head) != requests[i].asked)
			fail_msg("%zu: %s", i, requests[i].lines);
	}
}

static const struct {
	const char *lines;
	uint8_t minor, asked;
	bool is;
} answers[] = {
	{ C WS, 1, WEBSOCKET, true },
	{ "Connection: Upgrade\nUpgrade: WebSocket\n", 1, WEBSOCKET, true },
	{ C "Upgrade: ,websocket,\n", 1, WEBSOCKET, true },
	{ C WS, 1, NONE, false },
	{ C WS, 0, WEBSOCKET, false },
	{ WS, 1, WEBSOCKET, false },
	{ C, 1, WEBSOCKET, false },
	{ C "Upgrade: h2c\n", 1, WEBSOCKET, false },
	{ C "Upgrade: websocket, h2c\n", 1, WEBSOCKET, false },
	{ C WS WS, 1, WEBSOCKET, false },
	{ C "Upgrade: h2c\n" WS, 1, WEBSOCKET, false },
	{ "A: 1\n", 1, WEBSOCKET, false },
};

static void answers_switch_to_it(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct http_head head = { .minor = answers[i].minor };

		fields_fill(&head, answers[i].lines);
		if (upgrade_is_to(&head, answers[i].asked) != answers[i].is)
			fail_msg("%zu: %s", i, answers[i].lines);
	}
}

static void tokens_are_printed(void **state)
{
	(void)state;
	assert_true(slice_eq(upgrade_token(HTTP_UPGRADE_WEBSOCKET), SLICE("websocket")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_ask_for_it),
		cmocka_unit_test(answers_switch_to_it),
		cmocka_unit_test(tokens_are_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
