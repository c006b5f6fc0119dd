#pragma once

/// So many tests run at a time: enough to use the cores while some wait for a server or a process.
#define TEST_WIDTH "12"
