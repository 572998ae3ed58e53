/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A point is y, its least byte first, and the sign of x on top. On the curve
 *
 *     x^2 = (y^2 - 1) / (d y^2 + 1)  modulo p = 2^255 - 19,  d = -121665 / 121666
 *
 * so there is an x if the quotient is a square. Which it is if the product of both is, and still is
 * when multiplied by the square of 121666:  u = y^2 - 1,  v = 121666 (121666 - 121665 y^2).
 */
#include <openssl/bn.h> /* First: see tls_private.h. */

#include "core/crypto/ed25519_point.h"

#include <errno.h>

struct numbers {
	BN_CTX *ctx;
	BIGNUM *p, *y, *square, *u, *v;
};

static bool begin(struct numbers *n)
{
	n->ctx = BN_CTX_new();
	if (!n->ctx)
		return false;
	BN_CTX_start(n->ctx);
	n->p = BN_CTX_get(n->ctx);
	n->y = BN_CTX_get(n->ctx);
	n->square = BN_CTX_get(n->ctx);
	n->u = BN_CTX_get(n->ctx);
	n->v = BN_CTX_get(n->ctx); /* NULL when one before is. */
	return n->v && BN_set_bit(n->p, 255) && BN_sub_word(n->p, 19);
}

static bool read_y(struct numbers *n, const uint8_t point[32])
{
	uint8_t bytes[32];

	memcpy(bytes, point, sizeof(bytes));
	bytes[31] &= 0x7f;
	return BN_lebin2bn(bytes, sizeof(bytes), n->y) && BN_sqr(n->square, n->y, n->ctx);
}

/* The product of u and v to v. */
static bool multiply(struct numbers *n)
{
	return BN_copy(n->u, n->square) && BN_sub_word(n->u, 1) && BN_copy(n->v, n->square) &&
	       BN_mul_word(n->v, 121665) && BN_sub(n->v, n->p, n->v) && BN_add_word(n->v, 121666) &&
	       BN_mul_word(n->v, 121666) && BN_mod_mul(n->v, n->v, n->u, n->p, n->ctx);
}

int ed25519_point_check(const uint8_t point[32])
{
	struct numbers n;
	int square = -2; /* Of BN_kronecker(): -2 for want of memory, 1 for a square. */
	bool reduced = false;

	if (begin(&n) && read_y(&n, point) && multiply(&n)) {
		square = BN_kronecker(n.v, n.p, n.ctx);
		reduced = BN_cmp(n.y, n.p) < 0;
	}
	if (n.ctx)
		BN_CTX_end(n.ctx);
	BN_CTX_free(n.ctx);
	return square == -2 ? -ENOMEM : reduced && square == 1;
}
