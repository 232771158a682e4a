// SPDX-License-Identifier: GPL-2.0
/* radctl check: what radium needs on this machine, what of it is missing, and the remedy. */
#include "radctl.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

enum verdict { OK, MISSING, HINT, SKIPPED };

struct finding {
	const char *check;
	enum verdict verdict;
	char detail[256];
	const char *remedy;
};

static const char stock_kernel[] = "boot Debian 12's kernel (linux-image-amd64)";

static FILE *open_file(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", device_root(), path);
	return fopen(full, "re");
}

static bool first_line(const char *path, char *line, size_t size)
{
	FILE *file = open_file(path);
	bool found = file && fgets(line, (int)size, file);

	if (found)
		line[strcspn(line, "\n")] = '\0';
	if (file)
		fclose(file);
	return found;
}

static void add_word(struct finding *f, const char *word)
{
	size_t used = strlen(f->detail);

	snprintf(f->detail + used, sizeof(f->detail) - used, "%s%s", used ? " " : "", word);
}

/* Names of the entries of a directory, as the finding's detail. */
static size_t add_entries(struct finding *f, const char *path)
{
	char full[PATH_MAX];
	struct dirent *entry;
	size_t count = 0;
	DIR *directory;

	snprintf(full, sizeof(full), "%s%s", device_root(), path);
	directory = opendir(full);
	while (directory && (entry = readdir(directory))) {
		if (entry->d_name[0] == '.')
			continue;
		add_word(f, entry->d_name);
		count++;
	}
	if (directory)
		closedir(directory);
	return count;
}

static void check_kernel(struct finding *f)
{
	char release[128] = "unknown";
	unsigned int major = 0, minor = 0;
	struct utsname name;

	f->remedy = stock_kernel;
	first_line("/proc/sys/kernel/osrelease", release, sizeof(release));
	uname(&name);
	snprintf(f->detail, sizeof(f->detail), "%.127s %.64s", release, name.machine);
	if (sscanf(release, "%u.%u", &major, &minor) != 2 || major != 6 || minor != 1 ||
	    strcmp(name.machine, "x86_64"))
		f->verdict = MISSING;
}

static void check_config(struct finding *f)
{
	static const char *const needed[] = {
		"CONFIG_MMU_NOTIFIER", "CONFIG_DEVICE_MIGRATION", "CONFIG_DYNAMIC_FTRACE_WITH_ARGS",
		"CONFIG_KPROBES", "CONFIG_INFINIBAND",
	};
	bool found[ARRAY_SIZE(needed)] = { false };
	char path[192], release[128] = "", line[512];
	FILE *file;

	f->remedy = stock_kernel;
	first_line("/proc/sys/kernel/osrelease", release, sizeof(release));
	snprintf(path, sizeof(path), "/boot/config-%s", release);
	file = open_file(path);
	if (!file) {
		f->verdict = SKIPPED;
		snprintf(f->detail, sizeof(f->detail), "no %s", path);
		return;
	}
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
			size_t length = strlen(needed[i]);

			if (!strncmp(line, needed[i], length) && line[length] == '=')
				found[i] = true;
		}
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!found[i]) {
			f->verdict = MISSING;
			add_word(f, needed[i]);
		}
}

static void check_symbols(struct finding *f)
{
	/* kmod/hook.c, ksym.c, exports that others lack, tracepoints of rad_probe_register(). */
	static const char *const needed[] = {
		"do_swap_page", "do_wp_page", "migration_entry_wait", "syscall_user_dispatch",
		"__x64_sys_seccomp", "__ia32_sys_seccomp", "syscall_regfunc",
		"x64_sys_call", "kernel_clone", "split_huge_page_to_list", "__put_anon_vma",
		"folio_free_swap", "lru_add_drain", "rmap_walk", "do_munmap", "wait_task_inactive",
		"__memcg_kmem_charge_page", "__memcg_kmem_uncharge_page", "put_task_stack", "ptrace_may_access",
		"migration_entry_wait_on_locked", "tty_read",
		"migrate_vma_setup", "migrate_device_finalize", "task_work_add",
		"__tracepoint_signal_generate", "__tracepoint_sched_process_exit",
		"__tracepoint_sched_process_fork",
	};
	bool found[ARRAY_SIZE(needed)] = { false };
	char line[1024], name[256];
	FILE *file = open_file("/proc/kallsyms");

	f->remedy = stock_kernel;
	if (!file) {
		f->verdict = SKIPPED;
		add_word(f, "no /proc/kallsyms");
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*s %*c %255s", name) != 1)
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
			found[i] |= !strcmp(name, needed[i]);
	}
	fclose(file);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		if (!found[i]) {
			f->verdict = MISSING;
			add_word(f, needed[i]);
		}
}

static void check_ftrace(struct finding *f)
{
	char line[16] = "none";
	bool there = first_line("/proc/sys/kernel/ftrace_enabled", line, sizeof(line));

	f->remedy = there ? "sysctl kernel.ftrace_enabled=1" : stock_kernel;
	f->verdict = strcmp(line, "1") ? MISSING : OK;
	snprintf(f->detail, sizeof(f->detail), "ftrace_enabled %s", line);
}

static void check_livepatch(struct finding *f)
{
	f->remedy = "disable these live patches: they may replace functions that radium hooks";
	if (add_entries(f, "/sys/kernel/livepatch"))
		f->verdict = MISSING;
}

static void check_rdma(struct finding *f)
{
	f->remedy = "radctl node up";
	if (!add_entries(f, "/sys/class/infiniband"))
		f->verdict = MISSING;
}

static bool is_loaded(void)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/sys/module/radium", device_root());
	return !access(path, F_OK);
}

/* With Secure Boot the kernel is locked down, and loads no module without a signature. */
static void check_lockdown(struct finding *f)
{
	static const char path[] = "/sys/kernel/security/lockdown";
	char line[64], level[32] = "unknown", *chosen;

	f->remedy = "sign radium.ko with a key that is enrolled here, or switch Secure Boot off";
	if (!first_line(path, line, sizeof(line))) {
		f->verdict = SKIPPED;
		snprintf(f->detail, sizeof(f->detail), "no %s", path);
		return;
	}
	chosen = strchr(line, '[');
	if (chosen)
		sscanf(chosen, "[%31[a-z]", level);
	add_word(f, level);
	/* One that is loaded was signed. */
	if (strcmp(level, "none") && !is_loaded())
		f->verdict = HINT;
}

static void check_module(struct finding *f)
{
	f->remedy = LOAD_REMEDY;
	if (!is_loaded())
		f->verdict = MISSING;
}

static void check_device(struct finding *f)
{
	struct dev dev;
	int error = dev_connect(&dev);

	f->remedy = error == -ENOENT ? LOAD_REMEDY :
		    error == -EACCES || error == -EPERM ? "check the mode of " RADIUM_DEVICE :
		    "install radctl and the module of the same version";
	if (error) {
		f->verdict = MISSING;
		add_word(f, strerror(-error));
		return;
	}
	snprintf(f->detail, sizeof(f->detail), "ABI %u", dev.hello.abi);
	if (!dev.hello.node) {
		f->verdict = HINT;
		f->remedy = "this machine has not joined a cluster: use 'radctl node join'";
	}
	dev_close(&dev);
}

static void check_replica(struct finding *f)
{
	char path[PATH_MAX];

	f->remedy = "make install, or name it with 'radctl node join --replica'";
	snprintf(f->detail, sizeof(f->detail), "%.200s", replica_path(path, sizeof(path)));
	if (access(path, X_OK))
		f->verdict = MISSING;
}

static void check_clock(struct finding *f)
{
	char source[64] = "unknown";

	f->remedy = "boot with a stable TSC: sources that differ between nodes, or that the vDSO cannot read, cost a system call for each look";
	first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", source,
		   sizeof(source));
	add_word(f, source);
	if (strcmp(source, "tsc"))
		f->verdict = HINT;
}

static void check_numa_balancing(struct finding *f)
{
	char on[16] = "0", path[PATH_MAX];

	f->remedy = "sysctl kernel.numa_balancing=0: it calls pages home again and again";
	first_line("/proc/sys/kernel/numa_balancing", on, sizeof(on));
	snprintf(path, sizeof(path), "%s/sys/devices/system/node/node1", device_root());
	snprintf(f->detail, sizeof(f->detail), "numa_balancing %s", on);
	if (strcmp(on, "0") && !access(path, F_OK))
		f->verdict = HINT;
}

static const struct {
	const char *name;
	void (*check)(struct finding *f);
} checks[] = {
	{ "kernel", check_kernel },
	{ "config", check_config },
	{ "symbols", check_symbols },
	{ "ftrace", check_ftrace },
	{ "livepatch", check_livepatch },
	{ "rdma_device", check_rdma },
	{ "lockdown", check_lockdown },
	{ "module", check_module },
	{ "device", check_device },
	{ "replica", check_replica },
	{ "clocksource", check_clock },
	{ "numa_balancing", check_numa_balancing },
};

static struct json_object *make_check(const void *record)
{
	return json_object_new_string(((const struct finding *)record)->check);
}

static struct json_object *make_ok(const void *record)
{
	return json_object_new_boolean(((const struct finding *)record)->verdict != MISSING);
}

static struct json_object *make_result(const void *record)
{
	static const char *const names[] = { "ok", "missing", "hint", "skipped" };

	return json_object_new_string(names[((const struct finding *)record)->verdict]);
}

static struct json_object *make_remedy(const void *record)
{
	const struct finding *f = record;

	return json_object_new_string(f->verdict == MISSING || f->verdict == HINT ?
				      f->remedy : "");
}

static const struct out_field finding_fields[] = {
	OUT_MAKE(make_check, "check", "CHECK", OUT_PLAIN),
	OUT_MAKE(make_ok, "ok", NULL, OUT_PLAIN),
	OUT_MAKE(make_result, "result", "RESULT", OUT_PLAIN),
	OUT_FIELD(finding, detail, "detail", "DETAIL", OUT_PLAIN),
	OUT_MAKE(make_remedy, "remedy", "REMEDY", OUT_PLAIN),
	OUT_END
};

int cmd_check(const struct command *c, int argc, char **argv)
{
	struct finding findings[ARRAY_SIZE(checks)];
	struct json_object *array;
	int status = EXIT_DONE;

	args_only_common(c, argc, argv, 0, 0);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		findings[i] = (struct finding) { .check = checks[i].name, .remedy = "" };
		checks[i].check(&findings[i]);
		if (findings[i].verdict == MISSING)
			status = EXIT_FAILED;
	}
	array = out_array(finding_fields, findings, sizeof(findings[0]), ARRAY_SIZE(findings));
	if (options.json) {
		out_json(array);
		return status;
	}
	out_table(finding_fields, array);
	json_object_put(array);
	return status;
}
