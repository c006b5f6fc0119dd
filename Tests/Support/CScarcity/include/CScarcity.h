#pragma once
#include <sys/types.h>

// What only a process of its own may do: this module is linked into ScarcityProcess and into nothing else.

/// Gives SQLite an allocator that can fail, and takes its small-memory pools away, so that each request reaches it. To be called
/// before SQLite is first used. 0, or SQLite's error.
int scarcity_install(void);

/// From now on requests fail: `count` of them, from number `first` on, counted from 1.
void scarcity_fail(long first, long count);

/// From now on each request fails with this probability, in thousandths; the choices follow from the seed.
void scarcity_fail_at_random(unsigned long long seed, int permille);

/// Requests are answered again. How many were not.
long scarcity_relent(void);

/// How many requests there were since one of the calls above.
long scarcity_requests(void);

/// How much of SQLite's memory has not been given back: blocks.
long scarcity_live(void);

/// How often fdatasync was called. The system is not asked to do it: there are no power cuts here.
long scarcity_syncs(void);

/// From now on inotify has no more instances to give, or has again.
void scarcity_forbid_inotify(int forbidden);
