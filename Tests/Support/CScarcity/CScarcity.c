#define _GNU_SOURCE
#include "CScarcity.h"
#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>

static sqlite3_mem_methods inner;
static atomic_long live, requests, first_failure, last_failure, failures;
static atomic_int permille;
static atomic_ullong state;

static int fails(void) {
  long number = atomic_fetch_add(&requests, 1) + 1;
  int fails = number >= atomic_load(&first_failure) && number < atomic_load(&last_failure);
  int chance = atomic_load(&permille);
  if (chance) {
    unsigned long long word = atomic_fetch_add(&state, 0x9E3779B97F4A7C15ULL);
    word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9ULL;
    word = (word ^ (word >> 27)) * 0x94D049BB133111EBULL;
    fails = (int)((word >> 32) % 1000) < chance;
  }
  if (fails) atomic_fetch_add(&failures, 1);
  return fails;
}

static void *allocate(int size) {
  void *block = fails() ? 0 : inner.xMalloc(size);
  if (block) atomic_fetch_add(&live, 1);
  return block;
}

static void release(void *block) {
  if (block) atomic_fetch_sub(&live, 1);
  inner.xFree(block);
}

static void *resize(void *block, int size) { return fails() ? 0 : inner.xRealloc(block, size); }
static int size_of(void *block) { return inner.xSize(block); }
static int round_up(int size) { return inner.xRoundup(size); }
static int start(void *data) { return inner.xInit(inner.pAppData); }
static void stop(void *data) { inner.xShutdown(inner.pAppData); }

int scarcity_install(void) {
  static sqlite3_mem_methods methods = {allocate, release, resize, size_of, round_up, start, stop, 0};
  int code = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &inner);
  if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
  if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 1);
  if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
  // The pool of pages that every connection gets at once would hide their requests.
  if (code == SQLITE_OK) code = sqlite3_config(SQLITE_CONFIG_PAGECACHE, (void *)0, 0, 0);
  return code == SQLITE_OK ? sqlite3_initialize() : code;
}

static void begin(void) {
  atomic_store(&permille, 0);
  atomic_store(&requests, 0);
  atomic_store(&failures, 0);
}

void scarcity_fail(long first, long count) {
  begin();
  atomic_store(&first_failure, first);
  atomic_store(&last_failure, count > 1000000000L - first ? 1000000000L : first + count);
}

void scarcity_fail_at_random(unsigned long long seed, int chance) {
  begin();
  atomic_store(&first_failure, 0);
  atomic_store(&last_failure, 0);
  atomic_store(&state, seed * 0xD1B54A32D192ED03ULL);
  atomic_store(&permille, chance);
}

long scarcity_relent(void) {
  atomic_store(&first_failure, 0);
  atomic_store(&last_failure, 0);
  atomic_store(&permille, 0);
  return atomic_load(&failures);
}

long scarcity_requests(void) { return atomic_load(&requests); }
long scarcity_live(void) { return atomic_load(&live); }

// The program's own functions come before those of the C library, in the libraries that it uses too.
#if defined(__linux__)
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_long syncs;
static atomic_int forbids_inotify;

int fdatasync(int file) {
  atomic_fetch_add(&syncs, 1);
  return 0;
}

int inotify_init1(int flags) {
  if (!atomic_load(&forbids_inotify)) return (int)syscall(SYS_inotify_init1, flags);
  errno = EMFILE;
  return -1;
}

long scarcity_syncs(void) { return atomic_load(&syncs); }
void scarcity_forbid_inotify(int forbidden) { atomic_store(&forbids_inotify, forbidden); }
#else
long scarcity_syncs(void) { return -1; }
void scarcity_forbid_inotify(int forbidden) {}
#endif
