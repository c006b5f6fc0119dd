/* A SQLite VFS that asks before each operation on a file whether it may be done, and tells what was done. It passes what may be
   done to SQLite's own way to the disk. */
#ifndef FAULTY_DISK_H
#define FAULTY_DISK_H

#include <stdint.h>

enum faulty_kind {
  FAULTY_OPEN,
  FAULTY_READ,
  FAULTY_WRITE,
  FAULTY_TRUNCATE,
  FAULTY_SYNC,
  FAULTY_DELETE
};

struct faulty_operation {
  enum faulty_kind kind;
  /* NULL for a file without a name. */
  const char *path;
  /* Of a write, or the size that a file is cut to. */
  int64_t offset;
  int count;
  const void *bytes;
  /* Of an opening. */
  int flags;
  /* Whether what was done to the folder is to be on the disk as well. */
  int syncs_folder;
};

struct faulty_watcher {
  void *context;
  /* SQLITE_OK lets it through. With another code it is not done, and that is the answer; of a write, `*arrives` bytes are. */
  int (*before)(void *context, const struct faulty_operation *operation, int *arrives);
  /* What was let through has been done; of a write that was not, `operation->count` says how much arrived. */
  void (*after)(void *context, const struct faulty_operation *operation);
};

/* Registers it, never as the default. NULL without memory.
   - powersafe: whether a write that is interrupted leaves the bytes beside it alone. */
void *faulty_register(const char *name, struct faulty_watcher watcher, int powersafe);
/* When no connection uses it any more. */
void faulty_unregister(void *vfs);

#endif
