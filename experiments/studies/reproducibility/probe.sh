# Writes each fact to a file of its own; a fact that cannot be had is an empty file, which is a fact too.
mkdir -p $out
see() { local name=$1; shift; ("$@" 2>/dev/null || true) >"$out/$name"; }
many() { for i in $(seq 1 40); do : >"$1/file$i"; done; }

see clock-date date +%s.%N
see clock-zone date +%Z
see clock-uptime cut -d' ' -f1 /proc/uptime
see clock-boot grep btime /proc/stat
see clock-root-mtime stat -c %Y /
see clock-etc-mtime stat -c %Y /etc/passwd

see name-host uname -n
see name-domain cat /proc/sys/kernel/domainname
see name-user id
see name-umask bash -c umask
see name-environment bash -c 'env -u out -u script -u BASH_EXECUTION_STRING | sort | grep -v -e ^NIX_BUILD_CORES= -e ^builder= -e ^__rootfs='
see name-cores bash -c 'echo "$NIX_BUILD_CORES"'

see place-directory pwd -P
see place-temporary mktemp -u
see place-mounts cat /proc/self/mountinfo
see place-filesystem stat -f -c '%T' .
see place-device stat -c %d .
see place-inode stat -c %i .
see place-blocks stat -f -c '%b' .
see place-free stat -f -c '%f' .
mkdir many; many many
see place-order ls -U many
see place-output bash -c 'basename "$out"'

see machine-kernel uname -r
see machine-version uname -v
see machine-architecture uname -m
see machine-processors nproc
see machine-processor bash -c 'grep -v -e MHz -e bogomips /proc/cpuinfo'
see machine-frequency grep MHz /proc/cpuinfo
see machine-memory grep MemTotal /proc/meminfo
see machine-free grep MemFree /proc/meminfo
see machine-load cat /proc/loadavg
see machine-boot-id cat /proc/sys/kernel/random/boot_id
see machine-network bash -c 'tail -n +3 /proc/net/dev | cut -d: -f1'
see machine-command-line cat /proc/cmdline

see process-id bash -c 'echo $PPID'
see process-affinity grep Cpus_allowed: /proc/self/status
see process-nice cut -d' ' -f19 /proc/self/stat
see process-limits cat /proc/self/limits
see process-cgroup cat /proc/self/cgroup
see process-addresses bash -c 'grep -e stack -e vdso -e heap /proc/self/maps'
see process-random bash -c 'echo $RANDOM'
see process-input readlink /proc/self/fd/0
see process-inputs-mtime stat -c %Y /usr/bin/gcc
