#pragma once

/// The number of tests that run at a time: enough to keep the cores busy while some tests wait for a server or a process.
#define TEST_WIDTH "12"
