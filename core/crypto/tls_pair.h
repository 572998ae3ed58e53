/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_pair.h - a certificate and its key as files, and how a file that is not sound is told of.
 *
 * Threads: plain values.
 */
#pragma once

/* Room for the file and the cause. */
enum { TLS_WHY_MAX = 256 };

struct tls_pair {
	const char *cert_file; /* PEM: the certificate, then what chains it to a root. */
	const char *key_file;  /* PEM, without a pass phrase. */
};
