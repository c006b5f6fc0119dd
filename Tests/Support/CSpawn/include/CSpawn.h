#pragma once
#include <sys/types.h>

/// Starts a program with these three standard files and no others, all signals as they are by default.
/// @param folder in which it runs; this process's own for NULL
/// @param apart whether it gets a session of its own, so that no signal to this process's group or terminal reaches it
/// @return 0, or the error number
int spawn_child(
    pid_t *_Nonnull id, const char *_Nonnull program, char *_Nullable const *_Nonnull arguments,
    char *_Nullable const *_Nonnull environment, const char *_Nullable folder, int input, int output, int errors,
    int apart);

/// Sets how many descriptors a process may have.
/// @return 0, or the error number
int limit_descriptors(pid_t id, unsigned long count);
