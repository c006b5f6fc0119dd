// How many tests run at a time. All at once, hundreds of tests would share two cores, and each would run into its time limit on a
// slow machine. The variable is read by swift-testing, which has no other way to say this for a whole package; a value that somebody
// has set stays. See "Environment Variables" in its documentation.
#include "CTestWidth.h"
#include <stdlib.h>

__attribute__((constructor)) static void bound_parallel_tests(void) {
  setenv("SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH", TEST_WIDTH, 0);
}
