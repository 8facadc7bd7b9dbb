// Another program, run to its end.

#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace holdfast::client {

struct Ended {
  int exit_code = 0;  // 128 and the signal's number if a signal ended it.
  std::string output;
  std::string errors;  // What it wrote to standard error.
};

// Runs `path` with `arguments`, in this process's environment, with nothing on standard input.
// DEADLINE_EXCEEDED if it has not ended within `timeout`; it is killed then.
absl::StatusOr<Ended> RunProgram(const std::string& path, const std::vector<std::string>& arguments,
                                 absl::Duration timeout);

// A program of that name beside this one, else in PATH; empty if there is none.
std::string FindProgram(const std::string& name);

}  // namespace holdfast::client
