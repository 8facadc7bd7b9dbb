// One target as a libFuzzer program; HOLDFAST_FUZZ_TARGET is its function.

#include <cstddef>
#include <cstdint>

#include "server/base/log.h"
#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerInitialize(int* /*argc*/, char*** /*argv*/) {
  holdfast::base::SetLogLevel(holdfast::base::LogLevel::kError);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  holdfast::fuzz::HOLDFAST_FUZZ_TARGET({reinterpret_cast<const char*>(data), size});
  return 0;
}
