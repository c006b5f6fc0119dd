// For the functions that end in _np, which Swift's modules of the C library do not show.
#define _GNU_SOURCE
#include "CSpawn.h"
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>

int spawn_child(
    pid_t *id, const char *program, char *const *arguments, char *const *environment, const char *folder, int input, int output,
    int errors, int apart) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  posix_spawn_file_actions_init(&actions);
  posix_spawnattr_init(&attributes);
  if (folder) posix_spawn_file_actions_addchdir_np(&actions, folder);
  posix_spawn_file_actions_adddup2(&actions, input, 0);
  posix_spawn_file_actions_adddup2(&actions, output, 1);
  posix_spawn_file_actions_adddup2(&actions, errors, 2);
  // A thread of a pool has all signals blocked, and what it starts would inherit that.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (apart) flags |= POSIX_SPAWN_SETSID;
#ifdef __APPLE__
  flags |= POSIX_SPAWN_CLOEXEC_DEFAULT;
#else
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
#endif
  posix_spawnattr_setflags(&attributes, flags);
  int code = posix_spawn(id, program, &actions, &attributes, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  return code;
}

int limit_descriptors(pid_t id, unsigned long count) {
#ifdef __linux__
  struct rlimit limit;
  if (prlimit(id, RLIMIT_NOFILE, NULL, &limit)) return errno;
  limit.rlim_cur = count;
  return prlimit(id, RLIMIT_NOFILE, &limit, NULL) ? errno : 0;
#else
  (void)id, (void)count;
  return ENOSYS;
#endif
}
