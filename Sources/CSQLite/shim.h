#include <sqlite3.h>

/* sqlite3_db_config is variadic, which Swift does not import. */
static inline int qudo_db_config(sqlite3 *db, int option, int value) {
  return sqlite3_db_config(db, option, value, (int *)0);
}

/* Swift's module of the C library has no statfs on Linux. The type of the file system that a path is on; 0 if unknown. */
#if defined(__linux__)
#include <sys/vfs.h>
static inline unsigned int qudo_file_system(const char *path) {
  struct statfs found;
  return statfs(path, &found) == 0 ? (unsigned int)found.f_type : 0;
}

/* Whether a path is the root of a mount: 1 or 0, and -1 where the kernel does not tell. "STATX_ATTR_MOUNT_ROOT (since Linux 5.8): The
   file is the root of a mount." The system call by itself, since not every C library has statx: struct statx has 256 bytes, with
   stx_attributes at 8 and stx_attributes_mask at 56. */
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static inline int qudo_mount_root(const char *path) {
#ifdef SYS_statx
  const unsigned long long root = 0x2000;
  unsigned long long found[32], attributes, known;
  memset(found, 0, sizeof found);
  /* AT_FDCWD, AT_SYMLINK_NOFOLLOW, and no field in particular. */
  if (syscall(SYS_statx, -100, path, 0x100, 0, found) != 0) return -1;
  memcpy(&attributes, (char *)found + 8, sizeof attributes);
  memcpy(&known, (char *)found + 56, sizeof known);
  return known & root ? (attributes & root) != 0 : -1;
#else
  return -1;
#endif
}

/* Gives a file another name, unless there is one: 0, or the number of the error. By its number, since not every C library has it. */
static inline int qudo_rename_new(const char *from, const char *to) {
#ifdef SYS_renameat2
  /* AT_FDCWD, and RENAME_NOREPLACE. */
  return syscall(SYS_renameat2, -100, from, -100, to, 1) == 0 ? 0 : errno;
#else
  return ENOSYS;
#endif
}
#endif
