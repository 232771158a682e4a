# SPDX-License-Identifier: GPL-2.0
#
# Radium from the top. Kbuild describes the module; this file copies the sources
# into build/<flavour>/ and builds there, because Kbuild writes its objects
# beside the sources and two kernels must not share them. Building in place with
# "make -C KDIR M=$PWD" works too.
#
#   make            module (./radium.ko) and tools, against KDIR
#   make check      everything that is tested; TESTS=pattern for a part of it
#   make help       the rest

KERNEL	?= stock
TESTS	?=
SMP	?= 1
JOBS	?= 1
APPEND	?=
PREFIX	?= /usr/local

CACHE	:= $(or $(RADIUM_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/radium)

# The machines of the testbed have the newest kernel whose headers are installed, which need not
# be the running one: what they load is built for theirs, unless KDIR is given.
ifeq ($(origin KDIR),undefined)
THEIRS	:= KDIR="$$(qemu-testbed/testbed kernel-dir $(KERNEL))"
endif

ifeq ($(KERNEL),debug)
KDIR	?= $(CACHE)/kernels/debug/build
else
# The headers of the running kernel, else the newest installed ones of a kernel that the module is for.
KDIR	?= $(or $(wildcard /lib/modules/$(shell uname -r)/build),$(shell \
	ls -d /usr/src/linux-headers-6.1.*-amd64 2>/dev/null | \
	grep -vE -- '-(cloud|rt)-amd64$$' | sort -V | tail -n 1),$(shell \
	ls -d /lib/modules/6.1.*/build 2>/dev/null | \
	grep -vE -- '-(cloud|rt)-amd64/build$$' | sort -V | tail -n 1))
endif

OUT	:= build/$(KERNEL)
SOURCES	 = $(wildcard Kbuild kmod/*.c kmod/*.h kmod/*.S kmod/Kbuild uapi/linux/*.h)
KMAKE	 = $(MAKE) -C $(KDIR) M=$(CURDIR)/$(OUT) $(KFLAGS)
# What the checks ask for; a user's other compiler may know more warnings.
ifdef STRICT
KFLAGS	:= W=1 KCFLAGS=-Werror
endif

.PHONY: all module sources sparse tools selftests deps check demo bench soak docs install uninstall deb \
	clean help

# The tools first: "radctl check" says what is wrong with a kernel that the module cannot be built for.
all: tools module

module: sources
	+$(KMAKE) modules
ifneq ($(KERNEL),debug)
	cp -p $(OUT)/radium.ko radium.ko
endif

# Copies what is newer and removes what no longer has a source.
sources:
	@test -n "$(KDIR)" -a -e "$(KDIR)/Makefile" || { \
		echo "no kernel headers in '$(KDIR)': run selftests/deps, or set KDIR" >&2; exit 1; }
	@test -n "$(filter Kbuild,$(SOURCES))" || { echo "no Kbuild file here" >&2; exit 1; }
	@mkdir -p $(OUT)
	@cp -pu --parents $(SOURCES) $(OUT)
	@cd $(OUT) && for f in kmod/*.[chS] uapi/linux/*.h; do \
		case $$f in *.mod.c) continue;; esac; \
		test -e $(CURDIR)/$$f || rm -f $$f $${f%.c}.o; done

# C=2 looks at every file whether or not it has to be compiled.
sparse: sources
	+$(KMAKE) C=2 CF="-D__CHECK_ENDIAN__" modules

tools:
	+$(MAKE) -C userspace-tools all PREFIX=$(PREFIX)

selftests:
	+$(MAKE) -C selftests all

deps:
	selftests/deps $(DEPS)

RUN = selftests/run --kernel $(KERNEL) --smp $(SMP) --jobs $(JOBS) $(APPEND:%=--append=%)

check: deps
	$(RUN) $(if $(TESTS),--tests '$(TESTS)')

LONG := soak* coherence_four threads threaded servers sessions builds stressors
soak: DEPS := soak
soak: deps
	$(RUN) --tests '$(or $(TESTS),$(LONG))'
	$(if $(TESTS),,$(RUN) --native --tests '*')

demo: deps
	+$(MAKE) all $(THEIRS)
	qemu-testbed/demo

# As bench/run has them; one that it has not is not to be found out after everything is built.
PARTS := answers moves resume overhead kernels threads
ifneq ($(filter-out $(PARTS),$(BENCH)),)
$(error BENCH='$(BENCH)' is none of $(PARTS))
endif

bench: deps selftests
	+$(MAKE) all $(THEIRS)
	selftests/bench/run --only '$(BENCH)'

docs:
	selftests/check-docs

# The kernel that the module is for, which need not be the running one.
RELEASE	 = $(or $(shell sed -n 's/^.define UTS_RELEASE "\(.*\)"/\1/p' \
	$(KDIR)/include/generated/utsrelease.h),$(error '$(KDIR)' does not say which kernel it is of))

# What a debugger wants of the module, nine tenths of it, stays in build.
install: all
	install -D -m 644 $(OUT)/radium.ko $(DESTDIR)/lib/modules/$(RELEASE)/updates/radium.ko
	strip --strip-debug $(DESTDIR)/lib/modules/$(RELEASE)/updates/radium.ko
	install -D -m 644 uapi/linux/radium.h $(DESTDIR)$(PREFIX)/include/linux/radium.h
	+$(MAKE) -C userspace-tools install PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)
	$(if $(DESTDIR),,depmod -a $(RELEASE))

# For each kernel: the one that it was installed for need not be that of KDIR any more. The unit
# first, as nobody can leave without radctl.
uninstall:
	$(if $(DESTDIR),,-test ! -d /run/systemd/system || systemctl --quiet disable --now radium.service)
	for module in $(DESTDIR)/lib/modules/*/updates/radium.ko; do \
		test -e "$$module" || continue; \
		rm -f "$$module"; \
		$(if $(DESTDIR),,depmod -a "$$(basename "$${module%/updates/*}")";) \
	done
	rm -f $(DESTDIR)$(PREFIX)/include/linux/radium.h
	+$(MAKE) -C userspace-tools uninstall PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

# For one kernel; userspace-tools/packaging/deb says why.
deb: all
	userspace-tools/packaging/deb build/deb

clean:
	rm -rf build radium.ko
	+-$(MAKE) -C userspace-tools clean

help:
	@echo 'all      module and tools against KDIR=$(KDIR)'
	@echo '         (check, demo, bench: against the kernel of the testbed, unless KDIR is given)'
	@echo 'check    build, static checks, tests; KERNEL=stock|debug TESTS=pattern SMP=CPUs of each machine JOBS=suites at once'
	@echo '         APPEND=words for their kernels (preempt=full)'
	@echo 'demo     two virtual machines, one program that moves between them'
	@echo 'bench    all benchmarks, table and build/bench.json; a part (build/bench-PART.json) with BENCH=one of'
	@echo '         $(PARTS)'
	@echo 'soak     10,000 moves, leaks counted; 100,000 runs of each litmus test; four machines; threads,'
	@echo '         servers, sessions, builds, all stressors of stress-ng'
	@echo 'docs     checks manual pages and documents'
	@echo 'install  into DESTDIR, PREFIX=$(PREFIX)'
	@echo 'uninstall what install has put there'
	@echo 'deb      a Debian package in build/deb'
	@echo 'clean    removes what was built; caches stay in $(CACHE)'
