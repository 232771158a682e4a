// SPDX-License-Identifier: GPL-2.0
#define pr_fmt(fmt) "radium: " fmt

#include <linux/kprobes.h>
#include <linux/seq_buf.h>
#include "ksym.h"

struct rad_ksym rad_ksym;

static const struct {
	const char *name;
	void **where;
} wanted[] = {
	{ "x64_sys_call", (void **)&rad_ksym.x64_sys_call },
	{ "kernel_clone", (void **)&rad_ksym.kernel_clone },
	{ "split_huge_page_to_list", (void **)&rad_ksym.split_huge_page_to_list },
	{ "__put_anon_vma", (void **)&rad_ksym.put_anon_vma },
	{ "folio_free_swap", (void **)&rad_ksym.folio_free_swap },
	{ "lru_add_drain", (void **)&rad_ksym.lru_add_drain },
	{ "rmap_walk", (void **)&rad_ksym.rmap_walk },
	{ "__memcg_kmem_charge_page", (void **)&rad_ksym.memcg_kmem_charge_page },
	{ "__memcg_kmem_uncharge_page", (void **)&rad_ksym.memcg_kmem_uncharge_page },
	{ "do_munmap", (void **)&rad_ksym.do_munmap },
	{ "wait_task_inactive", (void **)&rad_ksym.wait_task_inactive },
	{ "put_task_stack", (void **)&rad_ksym.put_task_stack },
	{ "migration_entry_wait_on_locked",
	  (void **)&rad_ksym.migration_entry_wait_on_locked },
	{ "ptrace_may_access", (void **)&rad_ksym.ptrace_may_access },
	{ "tty_read", (void **)&rad_ksym.tty_read },
};

/**
 * rad_ksym_find() - address of a function of the kernel
 * @name: its name
 *
 * Registering a kprobe resolves the name. It is never armed: where ftrace is off it
 * could not be disarmed again.
 *
 * Context: process context, may sleep.
 * Return: NULL if there is none.
 */
void *rad_ksym_find(const char *name)
{
	struct kprobe kp = { .symbol_name = name, .flags = KPROBE_FLAG_DISABLED };
	void *addr;

	if (register_kprobe(&kp))
		return NULL;
	addr = kp.addr;
	unregister_kprobe(&kp);
	return addr;
}

/**
 * rad_ksym_init() - resolve every unexported function
 *
 * Context: process context, at load.
 * Return: 0, or -ENOENT after one message that names all that are missing.
 */
int rad_ksym_init(void)
{
	char text[512];
	struct seq_buf missing;
	size_t i;

	seq_buf_init(&missing, text, sizeof(text));
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		*wanted[i].where = rad_ksym_find(wanted[i].name);
		if (!*wanted[i].where)
			seq_buf_printf(&missing, " %s", wanted[i].name);
	}
	if (!seq_buf_used(&missing))
		return 0;
	pr_err("this kernel lacks%.*s\n", (int)seq_buf_used(&missing), text);
	return -ENOENT;
}
