/* SPDX-License-Identifier: Apache-2.0 */
/*
 * banned.h - makes calls that have no bound, no error or hidden state a compile error.
 *
 * The system headers that declare them come first, so that their own
 * declarations are not hit. gw_assert.h includes this file, hence nearly every
 * source does. A library header that names one of these must be included
 * before the first header of ours.
 *
 * Instead: slices and struct writer for text, slice_to_u64() for numbers,
 * clock_*() for dates, rng.h for random numbers.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* clang-format off */
#pragma GCC poison strcpy strncpy stpcpy strcat strncat strtok strtok_r
#pragma GCC poison sprintf vsprintf gets
#pragma GCC poison atoi atol atoll atof
#pragma GCC poison gmtime localtime asctime ctime
#pragma GCC poison rand srand random srandom drand48
/* clang-format on */
