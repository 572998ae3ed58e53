/* SPDX-License-Identifier: Apache-2.0 */
/*
 * asan.h - mark memory that nobody may touch at present; nothing without ASan.
 *
 * For memory that is handed out piece by piece (slabs, arenas) and for buffers
 * that the kernel holds. Threads: any.
 */
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define GW_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GW_ASAN 1
#endif
#endif

#ifdef GW_ASAN
#include <sanitizer/asan_interface.h>
#define GW_POISON(ptr, len)   ASAN_POISON_MEMORY_REGION((ptr), (len))
#define GW_UNPOISON(ptr, len) ASAN_UNPOISON_MEMORY_REGION((ptr), (len))
#else
#define GW_POISON(ptr, len)   ((void)(ptr), (void)(len))
#define GW_UNPOISON(ptr, len) ((void)(ptr), (void)(len))
#endif
