/* Attacks of one build on another and on the host, for tests that see them fail. Says what happened on its output. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static socklen_t address(struct sockaddr_un *to, const char *name, int abstract) {
  memset(to, 0, sizeof *to);
  to->sun_family = AF_UNIX;
  strncpy(to->sun_path + abstract, name, sizeof to->sun_path - 2);
  return offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
}

/* Waits for the partner and gives it a descriptor of the file. */
static void give(const char *name, const char *file) {
  struct sockaddr_un at;
  socklen_t length = address(&at, name, 1);
  int out = open(file, O_CREAT | O_RDWR, 0644), listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (write(out, "honest\n", 7) != 7 || bind(listener, (struct sockaddr *)&at, length) || listen(listener, 1))
    exit(1);
  for (int i = 0; i < 30; i++, usleep(100000)) {
    int partner = accept(listener, 0, 0);
    if (partner == -1) continue;
    char control[CMSG_SPACE(sizeof out)] = {0};
    struct iovec data = {"x", 1};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof out);
    memcpy(CMSG_DATA(header), &out, sizeof out);
    sendmsg(partner, &message, 0);
    puts("REACHED");
    return;
  }
  puts("nobody came");
}

/* Looks for the partner for as long as it waits. */
static void take(const char *name) {
  struct sockaddr_un at;
  socklen_t length = address(&at, name, 1);
  for (int i = 0; i < 25; i++, usleep(100000)) {
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&at, length) == 0) {
      puts("REACHED");
      return;
    }
    close(fd);
  }
  puts("nobody there");
}

/* Leaves a process in a session of its own that keeps a file open and changes it later. */
static void linger(const char *file) {
  int fd = open(file, O_CREAT | O_RDWR, 0644);
  if (write(fd, "honest\n", 7) != 7) exit(1);
  if (fork() == 0) {
    setsid();
    if (fork() == 0) {
      close(0), close(1), close(2);
      usleep(700000);
      for (int i = 0; i < 50; i++, usleep(20000))
        if (pwrite(fd, "stolen\n", 7, 0) != 7) break;
    }
    _exit(0);
  }
}

/* Changes what belongs to the host: harmless if it should succeed, since nothing is given another value. */
static void host(void) {
  const char *paths[] = {"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/bin/sh", "/proc", "/"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    struct stat now;
    if (stat(paths[i], &now)) continue;
    struct timespec times[2] = {now.st_atim, now.st_mtim};
    if (chmod(paths[i], now.st_mode & 07777) == 0) printf("CHANGED the mode of %s\n", paths[i]);
    if (utimensat(AT_FDCWD, paths[i], times, 0) == 0) printf("CHANGED the times of %s\n", paths[i]);
  }
  int null = open("/dev/null", O_WRONLY);
  puts(write(null, "x", 1) == 1 ? "devices work" : "NO DEVICES");
}

/* Directories within each other, deeper than any path can name. */
static void deep(const char *from, int depth) {
  if (chdir(from)) exit(1);
  for (int i = 0; i < depth; i++)
    if (mkdir("dddddddd", 0755) || chdir("dddddddd")) exit(1);
}

int main(int count, char **args) {
  setvbuf(stdout, 0, _IOLBF, 0);
  if (count > 3 && !strcmp(args[1], "give")) give(args[2], args[3]);
  if (count > 2 && !strcmp(args[1], "take")) take(args[2]);
  if (count > 2 && !strcmp(args[1], "linger")) linger(args[2]);
  if (count > 3 && !strcmp(args[1], "deep")) deep(args[2], atoi(args[3]));
  if (count > 1 && !strcmp(args[1], "host")) host();
  if (count > 2 && !strcmp(args[1], "socket")) {
    struct sockaddr_un at;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (chdir(args[2])) return 1;
    return bind(fd, (struct sockaddr *)&at, address(&at, "socket", 0)) ? 1 : 0;
  }
  return 0;
}
