// Bounds the number of tests that run at a time. Otherwise all tests run at once, share the cores, and reach their time limits on a
// slow machine. Swift Testing reads this variable, and offers a package no other way to set the number. See "Environment
// variables" in its documentation. If the variable is set already, it stays.
#include "CTestWidth.h"
#include <stdlib.h>

__attribute__((constructor)) static void bound_parallel_tests(void) {
  setenv("SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH", TEST_WIDTH, 0);
}
