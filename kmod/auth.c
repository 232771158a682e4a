// SPDX-License-Identifier: GPL-2.0
/*
 * Radium: the proof that a peer holds the cluster key.
 *
 * Both sides send HMAC-SHA256(key, role | both hellos | both addresses | the rest of AUTH). The
 * hellos hold a fresh nonce of each side, so an old MAC is worth nothing; the
 * role byte makes a reflected one worth nothing, and the addresses one that a stranger passes on
 * between two nodes, to be taken for each of them by the other. Each side sends it before it knows
 * who the other is, so what a stranger could use, the session's name and where its streams stand,
 * is hidden with a key stream that is made in the same way. What follows on the queue pair
 * is neither signed nor encrypted: the network itself is trusted, strangers on
 * it are not.
 */
#define pr_fmt(fmt) "radium: " fmt

#include <crypto/algapi.h>
#include <crypto/hash.h>
#include <linux/build_bug.h>
#include <linux/utsname.h>
#include "auth.h"

/* Written by join and leave while there is no connection, read in between. */
static struct crypto_shash *hmac;
static u8 own_build[RAD_WIRE_BUILD];

static int build_hash(void)
{
	struct crypto_shash *sha = crypto_alloc_shash("sha256", 0, 0);
	u8 text[2 * __NEW_UTS_LEN];
	u8 digest[RAD_WIRE_MAC] = {};
	int err;

	if (IS_ERR(sha))
		return PTR_ERR(sha);
	memcpy(text, init_utsname()->release, __NEW_UTS_LEN);
	memcpy(text + __NEW_UTS_LEN, init_utsname()->version, __NEW_UTS_LEN);
	err = crypto_shash_tfm_digest(sha, text, sizeof(text), digest);
	crypto_free_shash(sha);
	memcpy(own_build, digest, sizeof(own_build));
	return err;
}

/**
 * rad_auth_init - take the cluster key
 * @key: pre-shared key
 *
 * Context: process; before the first connection, not concurrently.
 * Return: 0 or a negative errno of the crypto layer.
 */
int rad_auth_init(const u8 key[RADIUM_KEY_SIZE])
{
	struct crypto_shash *tfm;
	int err;

	err = build_hash();
	if (err)
		return err;
	tfm = crypto_alloc_shash("hmac(sha256)", 0, 0);
	if (IS_ERR(tfm))
		return PTR_ERR(tfm);
	err = crypto_shash_setkey(tfm, key, RADIUM_KEY_SIZE);
	if (err) {
		crypto_free_shash(tfm);
		return err;
	}
	hmac = tfm;
	return 0;
}

/**
 * rad_auth_uninit - forget the cluster key
 *
 * Context: process; after the last connection is gone.
 */
void rad_auth_uninit(void)
{
	if (hmac)
		crypto_free_shash(hmac);
	hmac = NULL;
}

/**
 * rad_auth_build - name of the running kernel build
 * @build: where to
 */
void rad_auth_build(u8 build[RAD_WIRE_BUILD])
{
	memcpy(build, own_build, RAD_WIRE_BUILD);
}

static int hash(u8 mac[RAD_WIRE_MAC], u8 role, const struct rad_wire_hello *connecting,
		const struct rad_wire_hello *accepting, const struct rad_auth_ends *ends,
		const void *rest, size_t len)
{
	SHASH_DESC_ON_STACK(desc, hmac);
	int err;

	desc->tfm = hmac;
	err = crypto_shash_init(desc) ?:
	      crypto_shash_update(desc, &role, 1) ?:
	      crypto_shash_update(desc, (const u8 *)connecting, sizeof(*connecting)) ?:
	      crypto_shash_update(desc, (const u8 *)accepting, sizeof(*accepting)) ?:
	      crypto_shash_update(desc, (const u8 *)ends, sizeof(*ends)) ?:
	      crypto_shash_update(desc, rest, len) ?:
	      crypto_shash_final(desc, mac);
	shash_desc_zero(desc);
	return err;
}

/**
 * rad_auth_mac - compute the MAC of an AUTH message
 * @mac: where to; may be @auth->mac
 * @role: which side sends it
 * @connecting: hello of the connecting side
 * @accepting: hello of the accepting side
 * @ends: their addresses, as the one who computes it sees them
 * @auth: everything in it after @auth->mac is covered
 *
 * Context: process.
 * Return: 0 or a negative errno of the crypto layer.
 */
int rad_auth_mac(u8 mac[RAD_WIRE_MAC], enum rad_auth_role role,
		 const struct rad_wire_hello *connecting,
		 const struct rad_wire_hello *accepting,
		 const struct rad_auth_ends *ends, const struct rad_wire_auth *auth)
{
	return hash(mac, role, connecting, accepting, ends, (const u8 *)auth + sizeof(auth->mac),
		    sizeof(*auth) - sizeof(auth->mac));
}

/**
 * rad_auth_check - is this AUTH message of a peer right?
 * @role: which side sent it
 * @connecting: hello of the connecting side
 * @accepting: hello of the accepting side
 * @ends: their addresses, as the one who checks sees them
 * @auth: the message
 *
 * Context: process.
 * Return: RADIUM_R_NONE, RADIUM_R_WRONG_KEY or RADIUM_R_KERNEL_BUILD.
 */
u32 rad_auth_check(enum rad_auth_role role,
		   const struct rad_wire_hello *connecting,
		   const struct rad_wire_hello *accepting,
		   const struct rad_auth_ends *ends, const struct rad_wire_auth *auth)
{
	u8 mac[RAD_WIRE_MAC];

	if (rad_auth_mac(mac, role, connecting, accepting, ends, auth) ||
	    crypto_memneq(mac, auth->mac, sizeof(mac)))
		return RADIUM_R_WRONG_KEY;
	if (memcmp(auth->build, own_build, sizeof(own_build)))
		return RADIUM_R_KERNEL_BUILD;
	return RADIUM_R_NONE;
}

/**
 * rad_auth_hide - hide what is only for who has the key; done twice it is undone
 * @role: which side sends it
 * @connecting: hello of the connecting side
 * @accepting: hello of the accepting side
 * @ends: their addresses, as the one who calls sees them
 * @auth: everything in it after @auth->build is hidden; the MAC is that of the hidden
 *
 * Context: process.
 * Return: 0 or a negative errno of the crypto layer.
 */
int rad_auth_hide(enum rad_auth_role role, const struct rad_wire_hello *connecting,
		  const struct rad_wire_hello *accepting, const struct rad_auth_ends *ends,
		  struct rad_wire_auth *auth)
{
	static const char purpose[] = "hide";
	u8 stream[RAD_WIRE_MAC];
	int err;

	/* One block of the stream covers it, and the nonces make it another one each time. */
	static_assert(sizeof(*auth) - offsetof(struct rad_wire_auth, incarnation) ==
		      sizeof(stream));
	err = hash(stream, role, connecting, accepting, ends, purpose, sizeof(purpose));
	if (!err)
		crypto_xor((u8 *)auth + offsetof(struct rad_wire_auth, incarnation), stream,
			   sizeof(stream));
	return err;
}

/**
 * rad_auth_session - id of the session that these two hellos would begin
 * @connecting: hello of the connecting side
 * @accepting: hello of the accepting side
 *
 * Context: process.
 * Return: the id, the same on both sides and never 0; 0 if the crypto layer fails.
 */
u64 rad_auth_session(const struct rad_wire_hello *connecting,
		     const struct rad_wire_hello *accepting)
{
	static const struct rad_auth_ends nowhere;
	static const struct rad_wire_auth none;
	u8 mac[RAD_WIRE_MAC];
	__le64 id;

	if (rad_auth_mac(mac, RAD_AUTH_SESSION, connecting, accepting, &nowhere, &none))
		return 0;
	memcpy(&id, mac, sizeof(id));
	return le64_to_cpu(id) | 1;
}
