/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.h - what a gateway has to know of gRPC over HTTP/2 (grpc/grpc, PROTOCOL-HTTP2.md).
 *
 * A call is a POST whose content is "application/grpc"; its outcome is a status
 * of its own in the trailers, or in the only head of an answer without messages.
 * So a refusal has to be told in that form: clients do not look at HTTP's.
 *
 * Threads: none; pure.
 */
#pragma once

#include "core/base/gw_assert.h"
#include "core/http/head.h"

/* A request whose answer is expected in gRPC's form; not of gRPC-Web, which speaks otherwise. */
bool grpc_is_call(const struct http_head *head);

/* The time that a call has from now on: 1 and nanoseconds; 0 when it names none that is sound, or over a year. */
int grpc_timeout(const struct http_head *head, uint64_t *ret_ns);

/* What a refusal with that status is for a client of gRPC (0..16). */
uint8_t grpc_status(uint16_t status, enum reason reason);
