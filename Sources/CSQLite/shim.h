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
#endif
