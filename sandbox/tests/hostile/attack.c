/* What a hostile builder tries, one line of verdict a trial: "name: errno" or "name: DONE".
   Compiled statically by the tests and run inside the sandbox; it knows nothing of floe. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if_alg.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static void say(const char *name, long result) {
  if (result == -1)
    printf("%s: %s\n", name, strerrorname_np(errno));
  else
    printf("%s: DONE\n", name);
}

static void set_id(void) {
  int fd = open("plain", O_CREAT | O_RDWR, 0644);
  say("chmod", syscall(SYS_chmod, "plain", 04755));
  say("fchmod", syscall(SYS_fchmod, fd, 02755));
  say("fchmodat", syscall(SYS_fchmodat, AT_FDCWD, "plain", 06755));
  say("fchmodat2", syscall(452, AT_FDCWD, "plain", 04755, 0));
  say("open", syscall(SYS_open, "a", O_CREAT | O_WRONLY, 04755));
  say("openat", syscall(SYS_openat, AT_FDCWD, "b", O_CREAT | O_WRONLY, 04755));
  say("tmpfile", syscall(SYS_openat, AT_FDCWD, ".", O_TMPFILE | O_WRONLY, 04755));
  say("creat", syscall(SYS_creat, "c", 04755));
  struct { unsigned long flags, mode, resolve; } how = {O_CREAT | O_WRONLY, 04755, 0};
  say("openat2", syscall(437, AT_FDCWD, "d", &how, sizeof how));
  say("mknod", syscall(SYS_mknod, "e", S_IFREG | 04755, 0));
  say("mknodat", syscall(SYS_mknodat, AT_FDCWD, "f", S_IFREG | 02755, 0));
  say("whiteout", syscall(SYS_mknod, "g", S_IFCHR | 0644, 0));
  say("mkdir", syscall(SYS_mkdir, "h", 02755));
  say("mkdirat", syscall(SYS_mkdirat, AT_FDCWD, "i", 02755));
  say("io_uring_setup", syscall(425, 1, 0));
  say("setxattr", syscall(SYS_setxattr, "plain", "user.x", "y", 1, 0));
  say("setxattrat", syscall(463, AT_FDCWD, "plain", 0, "user.x", 0, 0));
  int flags = 0x10;
  say("setflags", ioctl(fd, 0x40086602, &flags));
  say("chmod_plain", chmod("plain", 0755));
}

static void walls(void) {
  say("unshare_user", unshare(CLONE_NEWUSER));
  say("unshare_mount", unshare(CLONE_NEWNS));
  say("clone_user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
  say("clone3", syscall(SYS_clone3, 0, 0));
  say("mount", mount("none", "/tmp", "tmpfs", 0, 0));
  say("umount", umount("/nix/store"));
  say("chroot", chroot("/tmp"));
  say("setns", setns(0, 0));
  say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
  say("add_key", syscall(SYS_add_key, "user", "a", "b", 1, -3));
  say("bpf", syscall(SYS_bpf, 0, 0, 0));
  say("userfaultfd", syscall(SYS_userfaultfd, 0));
  say("perf_event_open", syscall(SYS_perf_event_open, 0, 0, -1, -1, 0));
  say("fsopen", syscall(430, "tmpfs", 0));
  say("open_tree", syscall(428, AT_FDCWD, "/", 1));
  say("mount_setattr", syscall(442, AT_FDCWD, "/", 0, 0, 0));
  say("open_by_handle_at", syscall(SYS_open_by_handle_at, 0, 0, 0));
  say("sethostname", sethostname("x", 1));
  say("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
  char c = 'x';
  say("tiocsti", ioctl(0, TIOCSTI, &c));
  say("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
  say("af_alg", socket(AF_ALG, SOCK_SEQPACKET, 0));
  say("raw_socket", socket(AF_INET, SOCK_RAW, 1));
  say("tty", open("/dev/tty", O_RDWR));
  say("core_pattern", open("/proc/sys/kernel/core_pattern", O_WRONLY));
  say("sysrq", open("/proc/sysrq-trigger", O_WRONLY));
  say("kcore", open("/proc/kcore", O_RDONLY));
  say("root_of_one", open("/proc/1/root/work", O_RDONLY));
  say("signal_outside", kill(-1, 0) == -1 ? -1 : (kill(2147483, 0)));
  say("write_root", open("/x", O_CREAT | O_WRONLY, 0644));
  say("write_etc", open("/etc/passwd", O_WRONLY));
  say("setuid", setuid(0));
  say("ambient", prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 21, 0, 0));
  say("mkdir_plain", mkdir("/nix/store/plain", 0755));
}

/* Every number above the known ones, and the foreign tables. The kernel lets 335 and 336 (uretprobe
   and uprobe, for its own trampolines) pass every filter and kills whoever else calls them. */
static void unknown(void) {
  int bad = 0;
  for (long nr = 337; nr < 2048; nr++) {
    if (nr >= 424 && nr <= 466) continue;
    if (syscall(nr, -1, -1, -1, -1, -1, -1) != -1 || errno != ENOSYS) {
      printf("call %ld: %s\n", nr, strerrorname_np(errno));
      bad++;
    }
  }
#if defined(__x86_64__)
  for (long nr = 0; nr < 600; nr++)
    if (syscall(0x40000000 | nr, -1, -1, -1, -1, -1, -1) != -1 || errno != ENOSYS) bad++;
  long result = 20; /* getpid on i386 */
  __asm__ volatile("int $0x80" : "+a"(result) : : "memory");
  if (result != -ENOSYS) bad++;
#endif
  printf("unknown: %d wrong\n", bad);
}

static void trace(void) {
  pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    _exit(0);
  }
  int status;
  say("trace_own_child", waitpid(child, &status, 0) == child && WIFSTOPPED(status) ? 0 : -1);
  ptrace(PTRACE_CONT, child, 0, 0);
  waitpid(child, &status, 0);
}

static int abstract_socket(struct sockaddr_un *address, const char *name) {
  memset(address, 0, sizeof *address);
  address->sun_family = AF_UNIX;
  strncpy(address->sun_path + 1, name, 60);
  return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
}

int main(int argc, char **argv) {
  setvbuf(stdout, 0, _IOLBF, 0);
  struct sockaddr_un address;
  if (argc < 2) return 2;
  if (!strcmp(argv[1], "set-id")) set_id();
  if (!strcmp(argv[1], "walls")) walls();
  if (!strcmp(argv[1], "unknown")) unknown();
  if (!strcmp(argv[1], "trace")) trace();
  if (!strcmp(argv[1], "listen")) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), length = abstract_socket(&address, argv[2]);
    say("bind", bind(fd, (struct sockaddr *)&address, length));
    say("listen", listen(fd, 1));
    sleep(60);
  }
  if (!strcmp(argv[1], "connect")) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0), length = abstract_socket(&address, argv[2]);
    say("connect", connect(fd, (struct sockaddr *)&address, length));
  }
  if (!strcmp(argv[1], "hog")) {
    char *memory = malloc((size_t)atoi(argv[2]) << 20);
    say("hog", memory ? 0 : -1);
    if (memory) memset(memory, 1, (size_t)atoi(argv[2]) << 20);
  }
  if (!strcmp(argv[1], "daemon")) {
    if (fork() == 0) {
      setsid();
      if (fork() == 0) {
        close(0), close(1), close(2);
        for (;;) sleep(60);
      }
      _exit(0);
    }
    printf("left\n");
  }
  return 0;
}
