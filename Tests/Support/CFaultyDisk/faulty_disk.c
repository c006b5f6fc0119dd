#include "faulty_disk.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct disk {
  sqlite3_vfs vfs;
  sqlite3_vfs *below;
  struct faulty_watcher watcher;
  int powersafe;
  char name[64];
};

/* The file below follows it in memory. */
struct file {
  sqlite3_file base;
  struct disk *disk;
  const char *path;
  /* SQLite's own way syncs the folder with the first sync of a journal or WAL. */
  int syncs_folder;
};

static struct disk *disk_of(sqlite3_vfs *vfs) { return vfs->pAppData; }
static sqlite3_vfs *vfs_below(sqlite3_vfs *vfs) { return disk_of(vfs)->below; }
static sqlite3_file *file_below(sqlite3_file *file) { return (sqlite3_file *)((struct file *)file + 1); }

static int before(struct disk *disk, const struct faulty_operation *operation, int *arrives) {
  int code = disk->watcher.before(disk->watcher.context, operation, arrives);
  /* For those who ask the system. */
  if (code != SQLITE_OK) errno = code == SQLITE_FULL ? ENOSPC : EIO;
  return code;
}

static void after(struct disk *disk, const struct faulty_operation *operation) {
  disk->watcher.after(disk->watcher.context, operation);
}

/* Files. */

static int close_file(sqlite3_file *file) { return file_below(file)->pMethods->xClose(file_below(file)); }

static int read_file(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset) {
  struct file *file = (struct file *)base;
  struct faulty_operation operation = {FAULTY_READ, file->path, offset, count, NULL, 0, 0};
  int arrives = 0;
  int code = before(file->disk, &operation, &arrives);
  if (code == SQLITE_OK) return file_below(base)->pMethods->xRead(file_below(base), bytes, count, offset);
  /* "If xRead() returns SQLITE_IOERR_SHORT_READ it must also fill in the unread portions of the buffer with zeros." */
  if (code == SQLITE_IOERR_SHORT_READ) memset(bytes, 0, (size_t)count);
  return code;
}

static int write_file(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset) {
  struct file *file = (struct file *)base;
  struct faulty_operation operation = {FAULTY_WRITE, file->path, offset, count, bytes, 0, 0};
  int arrives = 0;
  int answer = before(file->disk, &operation, &arrives);
  operation.count = answer == SQLITE_OK ? count : arrives;
  if (operation.count == 0) return answer;
  int code = file_below(base)->pMethods->xWrite(file_below(base), bytes, operation.count, offset);
  if (code != SQLITE_OK) return code;
  after(file->disk, &operation);
  if (answer != SQLITE_OK) errno = answer == SQLITE_FULL ? ENOSPC : EIO;
  return answer;
}

static int truncate_file(sqlite3_file *base, sqlite3_int64 size) {
  struct file *file = (struct file *)base;
  struct faulty_operation operation = {FAULTY_TRUNCATE, file->path, size, 0, NULL, 0, 0};
  int code = before(file->disk, &operation, NULL);
  if (code != SQLITE_OK) return code;
  code = file_below(base)->pMethods->xTruncate(file_below(base), size);
  if (code == SQLITE_OK) after(file->disk, &operation);
  return code;
}

/* Nothing is really synced: what is on the disk is for the watcher to say. */
static int sync_file(sqlite3_file *base, int flags) {
  (void)flags;
  struct file *file = (struct file *)base;
  struct faulty_operation operation = {FAULTY_SYNC, file->path, 0, 0, NULL, 0, file->syncs_folder};
  int code = before(file->disk, &operation, NULL);
  if (code != SQLITE_OK) return code;
  file->syncs_folder = 0;
  after(file->disk, &operation);
  return SQLITE_OK;
}

static int size_of_file(sqlite3_file *file, sqlite3_int64 *size) {
  return file_below(file)->pMethods->xFileSize(file_below(file), size);
}

static int lock(sqlite3_file *file, int level) { return file_below(file)->pMethods->xLock(file_below(file), level); }
static int unlock(sqlite3_file *file, int level) { return file_below(file)->pMethods->xUnlock(file_below(file), level); }

static int is_reserved(sqlite3_file *file, int *found) {
  return file_below(file)->pMethods->xCheckReservedLock(file_below(file), found);
}

static int control(sqlite3_file *file, int operation, void *value) {
  /* It would write to the file by itself. */
  if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
  if (operation == SQLITE_FCNTL_POWERSAFE_OVERWRITE) {
    *(int *)value = ((struct file *)file)->disk->powersafe;
    return SQLITE_OK;
  }
  return file_below(file)->pMethods->xFileControl(file_below(file), operation, value);
}

static int sector_size(sqlite3_file *file) {
  (void)file;
  return 512;
}

static int characteristics(sqlite3_file *file) {
  return ((struct file *)file)->disk->powersafe ? SQLITE_IOCAP_POWERSAFE_OVERWRITE : 0;
}

static int shm_map(sqlite3_file *file, int page, int size, int extend, void volatile **place) {
  return file_below(file)->pMethods->xShmMap(file_below(file), page, size, extend, place);
}

static int shm_lock(sqlite3_file *file, int offset, int count, int flags) {
  return file_below(file)->pMethods->xShmLock(file_below(file), offset, count, flags);
}

static void shm_barrier(sqlite3_file *file) { file_below(file)->pMethods->xShmBarrier(file_below(file)); }

static int shm_unmap(sqlite3_file *file, int deletes) {
  return file_below(file)->pMethods->xShmUnmap(file_below(file), deletes);
}

/* Without xFetch: all that is read is seen. */
static const sqlite3_io_methods methods = {
  2, close_file, read_file, write_file, truncate_file, sync_file, size_of_file, lock, unlock, is_reserved, control,
  sector_size, characteristics, shm_map, shm_lock, shm_barrier, shm_unmap, NULL, NULL};

/* The disk. */

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *given) {
  struct disk *disk = disk_of(vfs);
  struct file *file = (struct file *)base;
  int is_journal = flags & (SQLITE_OPEN_MAIN_JOURNAL | SQLITE_OPEN_SUPER_JOURNAL | SQLITE_OPEN_WAL);
  struct faulty_operation operation = {FAULTY_OPEN, path, 0, 0, NULL, flags, 0};
  base->pMethods = NULL;
  int code = before(disk, &operation, NULL);
  if (code != SQLITE_OK) return code;
  file->disk = disk;
  file->path = path;
  file->syncs_folder = is_journal && (flags & SQLITE_OPEN_CREATE);
  code = disk->below->xOpen(disk->below, path, file_below(base), flags, given);
  if (code != SQLITE_OK) return code;
  base->pMethods = &methods;
  after(disk, &operation);
  return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int syncs_folder) {
  struct disk *disk = disk_of(vfs);
  struct faulty_operation operation = {FAULTY_DELETE, path, 0, 0, NULL, 0, syncs_folder};
  int code = before(disk, &operation, NULL);
  if (code != SQLITE_OK) return code;
  code = disk->below->xDelete(disk->below, path, 0);
  if (code == SQLITE_OK) after(disk, &operation);
  return code;
}

static int access_file(sqlite3_vfs *vfs, const char *path, int flags, int *found) {
  return vfs_below(vfs)->xAccess(vfs_below(vfs), path, flags, found);
}

static int full_path(sqlite3_vfs *vfs, const char *path, int size, char *out) {
  return vfs_below(vfs)->xFullPathname(vfs_below(vfs), path, size, out);
}

static int randomness(sqlite3_vfs *vfs, int count, char *out) { return vfs_below(vfs)->xRandomness(vfs_below(vfs), count, out); }
static int pause(sqlite3_vfs *vfs, int microseconds) { return vfs_below(vfs)->xSleep(vfs_below(vfs), microseconds); }
static int time_now(sqlite3_vfs *vfs, double *time) { return vfs_below(vfs)->xCurrentTime(vfs_below(vfs), time); }

static int last_error(sqlite3_vfs *vfs, int count, char *out) {
  return vfs_below(vfs)->xGetLastError(vfs_below(vfs), count, out);
}

static int exact_time_now(sqlite3_vfs *vfs, sqlite3_int64 *time) {
  return vfs_below(vfs)->xCurrentTimeInt64(vfs_below(vfs), time);
}

void *faulty_register(const char *name, struct faulty_watcher watcher, int powersafe) {
  sqlite3_vfs *below = sqlite3_vfs_find(NULL);
  struct disk *disk = calloc(1, sizeof *disk);
  if (below == NULL || disk == NULL) return free(disk), NULL;
  disk->below = below;
  disk->watcher = watcher;
  disk->powersafe = powersafe;
  strncpy(disk->name, name, sizeof disk->name - 1);
  disk->vfs = (sqlite3_vfs){
    .iVersion = 2, .szOsFile = (int)sizeof(struct file) + below->szOsFile, .mxPathname = below->mxPathname, .zName = disk->name,
    .pAppData = disk, .xOpen = open_file, .xDelete = delete_file, .xAccess = access_file, .xFullPathname = full_path,
    .xRandomness = randomness, .xSleep = pause, .xCurrentTime = time_now, .xGetLastError = last_error,
    .xCurrentTimeInt64 = exact_time_now};
  if (sqlite3_vfs_register(&disk->vfs, 0) != SQLITE_OK) return free(disk), NULL;
  return disk;
}

void faulty_unregister(void *vfs) {
  struct disk *disk = vfs;
  sqlite3_vfs_unregister(&disk->vfs);
  free(disk);
}
