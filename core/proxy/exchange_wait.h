/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exchange_wait.h - whom each direction of an exchange waits for, and how long.
 *
 *     state       flow      waits for                 span           refilled by   ends as
 *     SENDING     request   client, for its body      body_idle      500 B/s       408 body_timeout
 *     SENDING     request   upstream, to take it      write_stall    any byte      504 upstream_write_timeout
 *     SENDING     request   upstream, for its head    response_head  each 1xx      504 response_timeout
 *     RESPONDING  request   client, for its body      body_idle      500 B/s       cut, body_timeout
 *     RESPONDING  request   upstream, to take it      -              -             with the response
 *     RESPONDING  response  upstream, for its body    body_idle      any byte      cut, idle
 *     RESPONDING  response  client, to take it        write_stall    500 B/s       cut, send_timeout
 *     REPLYING    response  client, to take it        write_stall    -             cut, send_timeout
 *     TUNNEL      either    its source                tunnel_idle    any byte (*)  ended, tunnel_idle
 *     TUNNEL,     up        upstream, to take it      write_stall    any byte      cut, upstream_write_timeout
 *      ENDING     down      client, to take it        write_stall    500 B/s       cut, send_timeout
 *     TUNNEL      -         the end of a drain's      tunnel_grace   -             ended, draining
 *
 *     gRPC: any     -         the end of its deadline     grpc-timeout   -             504 or cut, deadline
 *
 * A call of gRPC may be silent for long: what waits for a source's bytes, or for
 * the response, has tunnel_idle, and no least rate.
 *
 * (*) Of either direction. What is ended is told so on both sides, behind what had come.
 *
 * A flow waits for its sink while that has not taken all there is, and for its
 * source otherwise. Only who is waited for loses patience, so nobody pays for
 * the other side's slowness: a source's patience stands still meanwhile, and a
 * sink that had taken all there was is owed all of it again.
 *
 * A client has to keep up a least rate, both ways: each byte buys it a share of
 * a second, up to the full span. An upstream may take its time (event streams
 * do). What a client has taken shows when a write is over, so one that is to
 * live has to take RING_BUF_DATA within write_stall. Nothing is demanded of a
 * client whose body is not wanted any more: the response is complete, or an
 * error, or came instead of the 100 that the client waits for. An upstream that
 * answers may leave the rest of the request untaken: what it holds up is
 * bounded by the window, and its time by that of the response.
 *
 * One timer serves both flows. Connecting has its deadline in upstream_get().
 *
 * Threads: the worker's.
 */
#pragma once

#include <stdint.h>

struct exchange;
struct ring_timer;

enum exchange_wait {
	EXCHANGE_WAIT_NONE,
	EXCHANGE_WAIT_BODY, /* For the client's body. */
	EXCHANGE_WAIT_TAKE, /* Until the upstream takes it. */
	EXCHANGE_WAIT_HEAD, /* For the response. */
	EXCHANGE_WAIT_MORE, /* For the upstream's body. */
	EXCHANGE_WAIT_READ, /* Until the client takes it. */
	EXCHANGE_WAIT_PASS, /* For anything to come through a tunnel. */
	EXCHANGE_N_WAITS
};

/* What is left of the patience with one side, and the bytes that it had moved when that was seen. */
struct exchange_patience {
	uint64_t left_ns; /* DEADLINE_NEVER: no end. */
	uint64_t bytes;
};

/* The state's waits begin, all patience is full. */
void exchange_wait_begin(struct exchange *ex);

/* Something may have moved: see who is waited for now, and set the deadline. */
void exchange_wait_look(struct exchange *ex);

/* ring_timer_fn of the exchange's deadline. */
void exchange_wait_expired(struct ring_timer *timer);

void exchange_wait_check(const struct exchange *ex);
