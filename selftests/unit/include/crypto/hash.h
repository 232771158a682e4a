/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Stands in for the kernel's header of that name, with one hash, of 32 bytes, whatever is
 * asked for. It is none to trust: what is tested is what goes into it. Of two inputs of one
 * length that differ in one byte the hashes differ always.
 */
#ifndef _RADIUM_UNIT_HASH_H
#define _RADIUM_UNIT_HASH_H

#include <linux/err.h>
#include <linux/types.h>
#include <stdlib.h>
#include <string.h>

struct crypto_shash {
	u64 start;
};

struct shash_desc {
	struct crypto_shash *tfm;
	u64 state;
};

#define SHASH_DESC_ON_STACK(desc, tfm) struct shash_desc desc##_on_stack, *desc = &desc##_on_stack

static int hash_calls = -1;	/* that succeed from now on; negative: all */

static inline int hash_call(void)
{
	if (!hash_calls)
		return -EIO;
	hash_calls -= hash_calls > 0;
	return 0;
}

/* FNV-1a */
static inline u64 hash_add(u64 state, const u8 *data, size_t len)
{
	while (len--)
		state = (state ^ *data++) * 0x100000001b3;
	return state;
}

static inline struct crypto_shash *crypto_alloc_shash(const char *name, u32 type, u32 mask)
{
	struct crypto_shash *tfm;

	if (hash_call())
		return ERR_PTR(-EIO);
	tfm = malloc(sizeof(*tfm));
	if (!tfm)
		return ERR_PTR(-ENOMEM);
	tfm->start = 0xcbf29ce484222325;
	return tfm;
}

static inline void crypto_free_shash(struct crypto_shash *tfm)
{
	free(tfm);
}

static inline int crypto_shash_setkey(struct crypto_shash *tfm, const u8 *key, unsigned int len)
{
	tfm->start = hash_add(tfm->start, key, len);
	return hash_call();
}

static inline int crypto_shash_init(struct shash_desc *desc)
{
	desc->state = desc->tfm->start;
	return hash_call();
}

static inline int crypto_shash_update(struct shash_desc *desc, const u8 *data, unsigned int len)
{
	desc->state = hash_add(desc->state, data, len);
	return hash_call();
}

static inline int crypto_shash_final(struct shash_desc *desc, u8 *out)
{
	for (u64 i = 0; i < 4; i++) {
		u64 word = desc->state * (2 * i + 1);

		memcpy(out + 8 * i, &word, sizeof(word));
	}
	return hash_call();
}

static inline int crypto_shash_tfm_digest(struct crypto_shash *tfm, const u8 *data,
					  unsigned int len, u8 *out)
{
	struct shash_desc desc = { .tfm = tfm };

	return crypto_shash_init(&desc) ?: crypto_shash_update(&desc, data, len) ?:
	       crypto_shash_final(&desc, out);
}

static inline void shash_desc_zero(struct shash_desc *desc)
{
	memset(desc, 0, sizeof(*desc));
}

#endif
