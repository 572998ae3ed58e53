/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/alloc_trap.h"

#include "core/base/gw_assert.h"

/* The linker's names: --wrap=malloc turns our calls into __wrap_malloc. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
int __real_posix_memalign(void **ret_ptr, size_t align, size_t size);
char *__real_strdup(const char *str);
void __real_free(void *ptr);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *ptr, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
int __wrap_posix_memalign(void **ret_ptr, size_t align, size_t size);
char *__wrap_strdup(const char *str);
void __wrap_free(void *ptr);

static void see_allocation(void)
{
	GW_ASSERT(!gw_malloc_is_forbidden());
	gw_malloc_count();
}

void *__wrap_malloc(size_t size)
{
	see_allocation();
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	see_allocation();
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
	see_allocation();
	return __real_realloc(ptr, size);
}

void *__wrap_aligned_alloc(size_t align, size_t size)
{
	see_allocation();
	return __real_aligned_alloc(align, size);
}

int __wrap_posix_memalign(void **ret_ptr, size_t align, size_t size)
{
	see_allocation();
	return __real_posix_memalign(ret_ptr, align, size);
}

char *__wrap_strdup(const char *str)
{
	see_allocation();
	return __real_strdup(str);
}

void __wrap_free(void *ptr)
{
	if (ptr) /* Freeing nothing is harmless and what clean-up paths do. */
		see_allocation();
	__real_free(ptr);
}
